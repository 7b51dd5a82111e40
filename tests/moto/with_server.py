"""Runs a command while moto serves a bucket, and ends with the command's exit code. The command finds
the bucket as `conformance::live` wants to be told."""

import logging
import os
import subprocess
import sys

import boto3
from moto.server import ThreadedMotoServer

BUCKET = "moto-bucket"
REGION = "us-east-1"

# What moto itself gets wrong. A case that passes must be taken off.
KNOWN_FAILURES = [
    # 404 for keys with CR and LF.
    "put::odd_keys_are_kept_exactly",
    "list::odd_keys",
    "delete::many",
    # Common prefixes do not count towards a page.
    "list::by_directory",
    "list::prefixes_count_towards_the_page",
    # x-amz-copy-source-if-match is ignored, and so are the dates; of a part copy all conditions are.
    "copy::a_stale_source_is_refused",
    "multipart::a_stale_source_of_a_part_is_refused",
    "conditions::copy_on_each_condition",
    "conditions::copy_part_on_each_condition",
    "conditions::copy_part_with_conditions_of_both_kinds",
    # If-Unmodified-Since counts beside an If-Match that holds, If-Modified-Since beside an If-None-Match.
    "conditions::etags_come_before_dates",
    # A part for an upload that is gone is an internal error.
    "multipart::an_aborted_upload_is_gone",
    "multipart::a_completed_upload_is_gone",
    # The list of parts is called ListPartsResponse.
    "multipart::parts_are_listed_page_by_page",
    # If-Match of Complete is ignored (it knows that of PUT and DELETE).
    "multipart::only_this_version_is_replaced_at_the_end",
    # Uploads are not listed in the order of their keys.
    "multipart::uploads_are_listed_page_by_page",
    # The delimiter of a list of uploads is ignored.
    "multipart::uploads_are_rolled_up_by_directory",
]


def main():
    logging.disable(logging.CRITICAL)  # not a line for every request
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    keys = {"aws_access_key_id": "AKIDMOTO", "aws_secret_access_key": "secret"}
    boto3.client("s3", endpoint_url=f"http://{host}:{port}", region_name=REGION, **keys).create_bucket(Bucket=BUCKET)
    environment = {
        **os.environ,
        "PARTFS_TEST_URL": f"s3://{BUCKET}/some where/deep",
        "PARTFS_TEST_KNOWN_FAILURES": " ".join(KNOWN_FAILURES),
        "PARTFS_TEST_WITHOUT_CHECKSUMS": "true",  # moto does not add the CRC-64 that S3 adds
        "PARTFS_ENDPOINT": f"http://{host}:{port}",
        "PARTFS_PATH_STYLE": "true",
        "PARTFS_REGION": REGION,
        "PARTFS_ACCESS_KEY_ID": keys["aws_access_key_id"],
        "PARTFS_SECRET_ACCESS_KEY": keys["aws_secret_access_key"],
    }
    status = subprocess.run(sys.argv[1:], env=environment, check=False).returncode
    server.stop()
    sys.exit(status)


if __name__ == "__main__":
    main()
