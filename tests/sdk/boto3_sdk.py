"""boto3 (botocore, s3transfer) against `partfs mock --dialect s3`."""

import hashlib
import sys
import threading
from unittest.mock import patch

import boto3
import requests
from boto3.exceptions import S3UploadFailedError
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.httpchecksum import resolve_request_checksum_algorithm

from cases import ODD_NAMES, case, content, digest, digest_of, refused, run, same, true
from mock_server import ACCESS_KEY_ID, SECRET_ACCESS_KEY, Mock, every_name_is_here

BUCKET = "sdk-tests"
REGION = "us-east-1"
MIB = 1 << 20
PART = 5 * MIB
SMALL_PARTS = TransferConfig(multipart_threshold=PART, multipart_chunksize=PART, max_concurrency=4)


def client_of(mock, key_id=ACCESS_KEY_ID, secret=SECRET_ACCESS_KEY, token=None, region=REGION, style="path", endpoint=None, **more):
    return boto3.client(
        "s3", endpoint_url=endpoint or f"http://{mock.address}", region_name=region, aws_access_key_id=key_id,
        aws_secret_access_key=secret, aws_session_token=token,
        config=Config(signature_version="s3v4", s3={"addressing_style": style}, retries={"total_max_attempts": 1}, **more),
    )


def kind_of(error):
    return error.response["ResponseMetadata"]["HTTPStatusCode"], error.response["Error"]["Code"]


def refused_with(what, call, status, code):
    return refused(what, call, ClientError, (status, code), kind_of)


def read(key, **more):
    return client.get_object(Bucket=BUCKET, Key=key, **more)["Body"].read()


def put(key, body=b"hello", **more):
    return client.put_object(Bucket=BUCKET, Key=key, Body=body, **more)


def head(key, **more):
    return client.head_object(Bucket=BUCKET, Key=key, **more)


def start(key, **more):
    return client.create_multipart_upload(Bucket=BUCKET, Key=key, **more)["UploadId"]


def part(key, upload, number, body, **more):
    return client.upload_part(Bucket=BUCKET, Key=key, UploadId=upload, PartNumber=number, Body=body, **more)


def complete(key, upload, parts, **more):
    parts = [{"PartNumber": number, "ETag": etag} for number, etag in parts]
    return client.complete_multipart_upload(Bucket=BUCKET, Key=key, UploadId=upload, MultipartUpload={"Parts": parts}, **more)


def keys(listing):
    return [entry["Key"] for entry in listing.get("Contents", [])]


def prefixes(listing):
    return [entry["Prefix"] for entry in listing.get("CommonPrefixes", [])]


@case
def what_is_put_is_got(ground):
    key, body = ground.key("file.txt"), content(100_000)
    answer = put(key, body)
    same("ETag of the answer", answer["ETag"], f'"{hashlib.md5(body).hexdigest()}"')
    same("content", digest(read(key)), digest(body))
    refused_with("GET of an absent key", lambda: read(ground.key("absent")), 404, "NoSuchKey")
    refused_with("HEAD of an absent key", lambda: head(ground.key("absent")), 404, "404")


@case
def an_empty_object(ground):
    put(ground.key("empty"), b"")
    same("content", read(ground.key("empty")), b"")


@case
def checksums_of_every_kind(ground):
    body = content(70_000)
    for algorithm in ["CRC32", "SHA1", "SHA256"]:
        key = ground.key(algorithm)
        stored = put(key, body, ChecksumAlgorithm=algorithm)
        answer = client.get_object(Bucket=BUCKET, Key=key, ChecksumMode="ENABLED")
        same(algorithm, answer["Checksum" + algorithm], stored["Checksum" + algorithm])
        same("content", digest(answer["Body"].read()), digest(body))  # compares the checksum as well
    wrong = lambda: put(ground.key("wrong"), body, ChecksumCRC32="AAAAAA==")
    refused_with("a wrong checksum", wrong, 400, "BadDigest")
    wrong = lambda: put(ground.key("wrong"), body, ContentMD5="AAAAAAAAAAAAAAAAAAAAAA==")
    refused_with("a wrong Content-MD5", wrong, 400, "BadDigest")
    refused_with("nothing was stored", lambda: head(ground.key("wrong")), 404, "404")


@case
def a_stream_with_a_trailer(ground):
    # The SDK sends aws-chunked with the checksum at the end over TLS only; here it is told to.
    def at_the_end(request, *more, **options):
        resolve_request_checksum_algorithm(request, *more, **options)
        request["context"]["checksum"]["request_algorithm"]["in"] = "trailer"

    key, body, seen = ground.key("file"), content(3 * MIB + 1), []
    own = client_of(server)
    own.meta.events.register("before-send.s3.*", lambda request, **_: seen.append(request.headers.get("x-amz-content-sha256")))
    file = ground.file("file", body)
    with open(file, "rb") as stream, patch("botocore.httpchecksum.resolve_request_checksum_algorithm", at_the_end):
        own.put_object(Bucket=BUCKET, Key=key, Body=stream, ChecksumAlgorithm="CRC32")
    same("it was sent so", seen, [b"STREAMING-UNSIGNED-PAYLOAD-TRAILER"])
    same("content", digest(read(key)), digest(body))


@case
def without_any_checksum(ground):
    old = client_of(server, request_checksum_calculation="when_required", response_checksum_validation="when_required")
    old.put_object(Bucket=BUCKET, Key=ground.key("file"), Body=b"hello")
    same("content", old.get_object(Bucket=BUCKET, Key=ground.key("file"))["Body"].read(), b"hello")
    answer = old.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": ground.key("file")}]})
    same("deleted", [entry["Key"] for entry in answer["Deleted"]], [ground.key("file")])


@case
def ranges(ground):
    key = ground.key("digits")
    put(key, b"0123456789")
    answer = client.get_object(Bucket=BUCKET, Key=key, Range="bytes=2-4")
    same("bytes 2 to 4", (answer["Body"].read(), answer["ContentRange"]), (b"234", "bytes 2-4/10"))
    same("from byte 7", read(key, Range="bytes=7-"), b"789")
    same("the last two", read(key, Range="bytes=-2"), b"89")
    same("past the end", read(key, Range="bytes=8-100"), b"89")
    refused_with("beyond the end", lambda: read(key, Range="bytes=10-"), 416, "InvalidRange")


@case
def conditions(ground):
    key = ground.key("file")
    etag = put(key)["ETag"]
    same("If-Match holds", read(key, IfMatch=etag), b"hello")
    refused_with("If-Match fails", lambda: read(key, IfMatch='"0"'), 412, "PreconditionFailed")
    refused_with("If-None-Match fails", lambda: read(key, IfNoneMatch=etag), 304, "304")


@case
def properties_come_back(ground):
    given = {
        "ContentType": "text/x-odd",
        "CacheControl": "max-age=60",
        "ContentDisposition": 'attachment; filename="a b.txt"',
        "ContentEncoding": "x-none",
        "ContentLanguage": "de",
        "StorageClass": "STANDARD_IA",
        "Metadata": {"mtime": "1700000000.5", "mode": "33188"},
    }
    put(ground.key("single"), **given)
    upload = start(ground.key("multipart"), **given)
    etag = part(ground.key("multipart"), upload, 1, b"hello")["ETag"]
    complete(ground.key("multipart"), upload, [(1, etag)])
    for name in ["single", "multipart"]:
        found = head(ground.key(name))
        same("properties of " + name, {field: found.get(field) for field in given}, given)
        same("size", found["ContentLength"], 5)
    entry = client.list_objects_v2(Bucket=BUCKET, Prefix=ground.key("single"))["Contents"][0]
    same("storage class in the list", entry["StorageClass"], "STANDARD_IA")
    answer = client.get_object(
        Bucket=BUCKET, Key=ground.key("single"), ResponseContentType="text/plain", ResponseCacheControl="no-cache"
    )
    same("overridden", (answer["ContentType"], answer["CacheControl"]), ("text/plain", "no-cache"))


@case
def a_customer_key_is_needed_to_read(ground):
    # boto3 adds the MD5 of the key and encodes both.
    trio = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": b"01234567890123456789012345678901"}
    body = content(PART + 5)
    file = ground.file("file", body)
    put(ground.key("single"), body, **trio)
    client.upload_file(file, BUCKET, ground.key("multipart"), ExtraArgs=trio, Config=SMALL_PARTS)
    for name in ["single", "multipart"]:
        key = ground.key(name)
        same("content of " + name, digest(read(key, **trio)), digest(body))
        same("algorithm of " + name, head(key, **trio)["SSECustomerAlgorithm"], "AES256")
        refused(name + " without its key", lambda: read(key), ClientError, 400, lambda error: kind_of(error)[0])
    client.copy_object(
        Bucket=BUCKET, Key=ground.key("copy"), CopySource={"Bucket": BUCKET, "Key": ground.key("single")},
        CopySourceSSECustomerAlgorithm="AES256", CopySourceSSECustomerKey=trio["SSECustomerKey"],
    )
    same("content of the copy", digest(read(ground.key("copy"))), digest(body))


@case
def encryption_by_the_service_is_told(ground):
    put(ground.key("file"), ServerSideEncryption="AES256")
    same("encryption", head(ground.key("file")).get("ServerSideEncryption"), "AES256")


@case
def a_large_file_in_parallel_parts(ground):
    body = content(3 * PART + 77)
    file, key, seen = ground.file("large", body), ground.key("large"), []
    client.upload_file(file, BUCKET, key, Config=SMALL_PARTS, Callback=seen.append, ExtraArgs={"ContentType": "text/x-odd"})
    same("progress", sum(seen), len(body))
    found = head(key)
    same("size and type", (found["ContentLength"], found["ContentType"]), (len(body), "text/x-odd"))
    parts = b"".join(hashlib.md5(body[at : at + PART]).digest() for at in range(0, len(body), PART))
    same("ETag", found["ETag"], f'"{hashlib.md5(parts).hexdigest()}-4"')
    client.download_file(BUCKET, key, ground.path("back"), Config=SMALL_PARTS)
    same("content", digest_of(ground.path("back")), digest(body))


@case
def an_interrupted_upload_is_resumed(ground):
    # s3transfer aborts what fails and cannot resume: so parts are sent by hand, and what List Parts shows is not sent again.
    body = content(4 * PART + 1)
    pieces = {number: body[(number - 1) * PART : number * PART] for number in range(1, 6)}
    key = ground.key("large")
    with Mock("s3", BUCKET) as mock:
        own = client_of(mock)
        upload = own.create_multipart_upload(Bucket=BUCKET, Key=key)["UploadId"]
        for number in [1, 3]:
            own.upload_part(Bucket=BUCKET, Key=key, UploadId=upload, PartNumber=number, Body=pieces[number])
        own = client_of(mock)
        found = own.list_multipart_uploads(Bucket=BUCKET)["Uploads"]
        same("uploads that are left", [(entry["Key"], entry["UploadId"]) for entry in found], [(key, upload)])
        listed = own.list_parts(Bucket=BUCKET, Key=key, UploadId=upload)["Parts"]
        etags = {entry["PartNumber"]: entry["ETag"] for entry in listed}
        wanted = {number: f'"{hashlib.md5(pieces[number]).hexdigest()}"' for number in [1, 3]}
        same("parts that are there", etags, wanted)
        for number in pieces:
            if number not in etags:
                answer = own.upload_part(Bucket=BUCKET, Key=key, UploadId=upload, PartNumber=number, Body=pieces[number])
                etags[number] = answer["ETag"]
        parts = [{"PartNumber": number, "ETag": etags[number]} for number in sorted(etags)]
        own.complete_multipart_upload(Bucket=BUCKET, Key=key, UploadId=upload, MultipartUpload={"Parts": parts})
        same("content", digest(own.get_object(Bucket=BUCKET, Key=key)["Body"].read()), digest(body))
        counts = mock.stop()
    same("parts that were sent in both tries", counts["upload part"], 5)


@case
def a_failed_upload_is_aborted(ground):
    key = ground.key("large")
    file = ground.file("large", content(4 * PART))
    sent, lock = [0], threading.Lock()

    def break_off(count):
        with lock:
            sent[0] += count
            if sent[0] > PART:
                raise RuntimeError("pulled out")

    refused("the upload", lambda: client.upload_file(file, BUCKET, key, Config=SMALL_PARTS, Callback=break_off),
            (RuntimeError, S3UploadFailedError), True, lambda _: True)
    true("no upload is left", "Uploads" not in client.list_multipart_uploads(Bucket=BUCKET, Prefix=key))
    refused_with("no object", lambda: head(key), 404, "404")


@case
def parts_are_listed_page_by_page(ground):
    key = ground.key("file")
    upload = start(key)
    for number in [7, 1, 3]:
        part(key, upload, number, content(1000, number))
    first = client.list_parts(Bucket=BUCKET, Key=key, UploadId=upload, MaxParts=2)
    same("first page", ([p["PartNumber"] for p in first["Parts"]], first["IsTruncated"]), ([1, 3], True))
    pages = client.get_paginator("list_parts").paginate(Bucket=BUCKET, Key=key, UploadId=upload, PaginationConfig={"PageSize": 2})
    found = [(p["PartNumber"], p["Size"], p["ETag"]) for page in pages for p in page["Parts"]]
    same("all pages", found, [(n, 1000, f'"{hashlib.md5(content(1000, n)).hexdigest()}"') for n in [1, 3, 7]])


@case
def uploads_are_listed_and_aborted(ground):
    # No control characters: the answer to the start of an upload repeats the key in XML.
    names = [ground.key(name) for name in ["a b", "a+b", "d/x", "d/y", "%41 中"]]
    uploads = {key: start(key) for key in names}
    pages = client.get_paginator("list_multipart_uploads").paginate(
        Bucket=BUCKET, Prefix=ground.prefix, PaginationConfig={"PageSize": 2}
    )
    found = {entry["Key"]: entry["UploadId"] for page in pages for entry in page.get("Uploads", [])}
    same("uploads", found, uploads)
    page = client.list_multipart_uploads(Bucket=BUCKET, Prefix=ground.prefix, Delimiter="/")
    same("directories", prefixes(page), [ground.key("d/")])
    for key, upload in uploads.items():
        client.abort_multipart_upload(Bucket=BUCKET, Key=key, UploadId=upload)
    true("none is left", "Uploads" not in client.list_multipart_uploads(Bucket=BUCKET, Prefix=ground.prefix))
    again = lambda: client.abort_multipart_upload(Bucket=BUCKET, Key=names[0], UploadId=uploads[names[0]])
    refused_with("a second abort", again, 404, "NoSuchUpload")


@case
def complete_refuses_what_was_not_sent(ground):
    key = ground.key("file")
    upload = start(key)
    etags = [part(key, upload, number, content(PART, number))["ETag"] for number in [1, 2]]
    wrong = '"00000000000000000000000000000000"'
    refused_with("a wrong ETag", lambda: complete(key, upload, [(1, etags[0]), (2, wrong)]), 400, "InvalidPart")
    refused_with("an unknown part", lambda: complete(key, upload, [(1, etags[0]), (3, etags[1])]), 400, "InvalidPart")
    refused_with("the wrong order", lambda: complete(key, upload, [(2, etags[1]), (1, etags[0])]), 400, "InvalidPartOrder")
    refused_with("no parts", lambda: complete(key, upload, []), 400, "MalformedXML")
    refused_with("an unknown upload", lambda: complete(key, "0", [(1, etags[0])]), 404, "NoSuchUpload")
    complete(key, upload, [(1, etags[0]), (2, etags[1])])
    same("content", digest(read(key)), digest(content(PART, 1) + content(PART, 2)))


@case
def complete_refuses_small_parts(ground):
    key = ground.key("file")
    upload = start(key)
    etags = [part(key, upload, number, content(1000, number))["ETag"] for number in [1, 2]]
    refused_with("small parts", lambda: complete(key, upload, list(enumerate(etags, 1))), 400, "EntityTooSmall")


@case
def numbers_may_have_gaps(ground):
    key = ground.key("file")
    old = client_of(server, request_checksum_calculation="when_required")
    upload = old.create_multipart_upload(Bucket=BUCKET, Key=key)["UploadId"]
    parts = []
    for number in [2, 5]:
        answer = old.upload_part(Bucket=BUCKET, Key=key, UploadId=upload, PartNumber=number, Body=content(PART, number))
        parts.append((number, answer["ETag"]))
    complete(key, upload, parts)
    same("content", digest(read(key)), digest(content(PART, 2) + content(PART, 5)))


@case
def odd_keys(ground):
    for number, name in enumerate(ODD_NAMES):
        put(ground.key(name), content(100, number))
    for number, name in enumerate(ODD_NAMES):
        same(f"content of {name!r}", digest(read(ground.key(name))), digest(content(100, number)))
    wanted = sorted((ground.key(name) for name in ODD_NAMES), key=lambda key: key.encode())
    for operation in ["list_objects_v2", "list_objects"]:
        pages = client.get_paginator(operation).paginate(Bucket=BUCKET, Prefix=ground.prefix, PaginationConfig={"PageSize": 5})
        same("keys in order by " + operation, [key for page in pages for key in keys(page)], wanted)


@case
def listing_by_directory(ground):
    for name in ["a", "b/1", "b/2", "b c/1", "d"]:
        put(ground.key(name))
    for call in [client.list_objects_v2, client.list_objects]:
        page = call(Bucket=BUCKET, Prefix=ground.prefix, Delimiter="/")
        same("files", keys(page), [ground.key("a"), ground.key("d")])
        same("directories", prefixes(page), [ground.key("b c/"), ground.key("b/")])
    first = client.list_objects_v2(Bucket=BUCKET, Prefix=ground.prefix, Delimiter="/", MaxKeys=2)
    same("a page counts both", (keys(first), prefixes(first), first["KeyCount"]), ([ground.key("a")], [ground.key("b c/")], 2))
    rest = client.list_objects_v2(Bucket=BUCKET, Prefix=ground.prefix, Delimiter="/", ContinuationToken=first["NextContinuationToken"])
    same("the rest", (keys(rest), prefixes(rest)), ([ground.key("d")], [ground.key("b/")]))
    after = client.list_objects_v2(Bucket=BUCKET, Prefix=ground.prefix, StartAfter=ground.key("b/1"))
    same("start after", keys(after), [ground.key("b/2"), ground.key("d")])


@case
def copies(ground):
    body, key = content(1000), ground.key("odd + 100% 中")
    source = {"Bucket": BUCKET, "Key": key}
    put(key, body, ContentType="text/x-odd", Metadata={"a": "1"})
    answer = client.copy_object(Bucket=BUCKET, Key=ground.key("same"), CopySource=source)
    found = head(ground.key("same"))
    same("copied properties", (found["ContentType"], found["Metadata"]), ("text/x-odd", {"a": "1"}))
    same("ETag", found["ETag"], answer["CopyObjectResult"]["ETag"])
    same("content", digest(read(ground.key("same"))), digest(body))
    client.copy_object(Bucket=BUCKET, Key=key, CopySource=source, MetadataDirective="REPLACE", Metadata={"b": "2"})
    same("replaced metadata", head(key)["Metadata"], {"b": "2"})
    stale = lambda: client.copy_object(Bucket=BUCKET, Key=ground.key("no"), CopySource=source, CopySourceIfMatch='"0"')
    refused_with("a stale source", stale, 412, "PreconditionFailed")
    source = {"Bucket": BUCKET, "Key": ground.key("absent")}
    absent = lambda: client.copy_object(Bucket=BUCKET, Key=ground.key("no"), CopySource=source)
    refused_with("an absent source", absent, 404, "NoSuchKey")
    itself = lambda: client.copy_object(Bucket=BUCKET, Key=key, CopySource={"Bucket": BUCKET, "Key": key})
    refused_with("onto itself without a change", itself, 400, "InvalidRequest")


@case
def a_large_copy_in_parts(ground):
    body, key = content(2 * PART + 9), ground.key("source")
    with Mock("s3", BUCKET) as mock:
        own = client_of(mock)
        own.put_object(Bucket=BUCKET, Key=key, Body=body)
        own.copy({"Bucket": BUCKET, "Key": key}, BUCKET, ground.key("copy"), Config=SMALL_PARTS)
        same("content", digest(own.get_object(Bucket=BUCKET, Key=ground.key("copy"))["Body"].read()), digest(body))
        counts = mock.stop()
    same("copied parts", counts["upload part copy"], 3)


@case
def many_are_deleted_at_once(ground):
    # XML cannot carry a control character, and botocore writes a bare CR, which an XML parser reads as LF.
    listed = [ground.key(name) for name in ODD_NAMES if "\x01" not in name and "\r" not in name]
    for key in listed:
        put(key)
    objects = {"Objects": [{"Key": key} for key in listed + [ground.key("absent")]]}
    answer = client.delete_objects(Bucket=BUCKET, Delete=objects)
    same("deleted", sorted(entry["Key"] for entry in answer["Deleted"]), sorted(listed + [ground.key("absent")]))
    same("nothing is left", client.list_objects_v2(Bucket=BUCKET, Prefix=ground.prefix)["KeyCount"], 0)
    put(ground.key("one"))
    quiet = client.delete_objects(Bucket=BUCKET, Delete={"Quiet": True, "Objects": [{"Key": ground.key("one")}]})
    true("a quiet answer names nothing", "Deleted" not in quiet and "Errors" not in quiet)
    client.delete_object(Bucket=BUCKET, Key=ground.key("absent"))


@case
def create_only_refuses_an_existing_key(ground):
    key = ground.key("file")
    put(key, b"first", IfNoneMatch="*")
    refused_with("PUT", lambda: put(key, b"second", IfNoneMatch="*"), 412, "PreconditionFailed")
    late = ground.key("late")
    upload = start(late)
    etag = part(late, upload, 1, b"second")["ETag"]
    put(late, b"first")
    refused_with("complete", lambda: complete(late, upload, [(1, etag)], IfNoneMatch="*"), 412, "PreconditionFailed")
    same("content", (read(key), read(late)), (b"first", b"first"))


@case
def compare_and_swap(ground):
    key = ground.key("file")
    etag = put(key, b"first")["ETag"]
    put(key, b"second", IfMatch=etag)
    refused_with("a stale one", lambda: put(key, b"third", IfMatch=etag), 412, "PreconditionFailed")
    refused_with("an absent one", lambda: put(ground.key("absent"), b"x", IfMatch=etag), 404, "NoSuchKey")
    same("content", read(key), b"second")
    delete = lambda etag: client.delete_object(Bucket=BUCKET, Key=key, IfMatch=etag)
    refused_with("a stale delete", lambda: delete(etag), 412, "PreconditionFailed")
    delete(client.head_object(Bucket=BUCKET, Key=key)["ETag"])
    refused_with("a deleted one", lambda: read(key), 404, "NoSuchKey")


@case
def presigned_urls(ground):
    key = ground.key("odd + 100% 中")
    put(key)
    sign = lambda operation, **more: client.generate_presigned_url(operation, Params={"Bucket": BUCKET, **more}, ExpiresIn=60)
    url = sign("get_object", Key=key, ResponseContentType="text/x-odd")
    answer = requests.get(url, timeout=30)
    same("answer", (answer.status_code, answer.content, answer.headers["Content-Type"]), (200, b"hello", "text/x-odd"))
    same("PUT", requests.put(sign("put_object", Key=key), data=b"new", timeout=30).status_code, 200)
    same("content", read(key), b"new")
    url, other = sign("get_object", Key=key), sign("get_object", Key=ground.key("other"))
    forged = url.split("?")[0] + "?" + other.split("?")[1]
    same("the signature of another key", requests.get(forged, timeout=30).status_code, 403)
    later = url.replace("X-Amz-Expires=60", "X-Amz-Expires=6000")
    same("a stretched one", requests.get(later, timeout=30).status_code, 403)
    same("without a signature", requests.get(url.split("?")[0], timeout=30).status_code, 403)


@case
def a_temporary_token_is_needed(ground):
    key = ground.key("file")
    with Mock("s3", BUCKET, token="the-token/+=") as mock:
        with_token = client_of(mock, token="the-token/+=")
        with_token.put_object(Bucket=BUCKET, Key=key, Body=b"hello")
        same("content", with_token.get_object(Bucket=BUCKET, Key=key)["Body"].read(), b"hello")
        url = with_token.generate_presigned_url("get_object", Params={"Bucket": BUCKET, "Key": key})
        same("presigned", requests.get(url, timeout=30).content, b"hello")
        for what, wrong in [("no token", client_of(mock)), ("another token", client_of(mock, token="other"))]:
            refused(what, lambda: wrong.get_object(Bucket=BUCKET, Key=key), ClientError, True, lambda error: kind_of(error)[0] in (400, 403))


@case
def wrong_keys_are_refused(ground):
    wrong = client_of(server, secret="another")
    refused_with("a wrong secret", lambda: wrong.get_object(Bucket=BUCKET, Key="x"), 403, "SignatureDoesNotMatch")
    refused_with("a wrong secret", lambda: wrong.put_object(Bucket=BUCKET, Key="x", Body=b"x"), 403, "SignatureDoesNotMatch")
    unknown = client_of(server, key_id="nobody")
    refused_with("an unknown key", lambda: unknown.list_objects_v2(Bucket=BUCKET), 403, "InvalidAccessKeyId")
    refused_with("another bucket", lambda: client.list_objects_v2(Bucket="another-bucket"), 404, "NoSuchBucket")


@case
def the_bucket_in_the_host_name(ground):
    with every_name_is_here():
        virtual = client_of(server, style="virtual", endpoint=f"http://s3.{REGION}.amazonaws.com:{server.port}")
        key = ground.key("a b+中")
        virtual.put_object(Bucket=BUCKET, Key=key, Body=b"hello")
        same("content", virtual.get_object(Bucket=BUCKET, Key=key)["Body"].read(), b"hello")
        same("keys", keys(virtual.list_objects_v2(Bucket=BUCKET, Prefix=ground.prefix)), [key])
    same("content by path", read(key), b"hello")


@case
def the_bucket_is_there(ground):
    client.head_bucket(Bucket=BUCKET)
    refused_with("another", lambda: client.head_bucket(Bucket="another-bucket"), 404, "404")


@case
def objects_in_a_folder_outlive_the_mock(ground):
    body, key = content(PART + 3), ground.key("file")
    file = ground.file("file", body)
    for again in [False, True]:
        with Mock("s3", BUCKET, folder=ground.path("bucket")) as mock:
            own = client_of(mock)
            if not again:
                own.upload_file(file, BUCKET, key, Config=SMALL_PARTS, ExtraArgs={"Metadata": {"a": "1"}})
            answer = own.get_object(Bucket=BUCKET, Key=key)
            same("content and metadata", (digest(answer["Body"].read()), answer["Metadata"]), (digest(body), {"a": "1"}))


if __name__ == "__main__":
    with Mock("s3", BUCKET) as server:
        client = client_of(server)
        sys.exit(run("boto3_sdk") > 0)
