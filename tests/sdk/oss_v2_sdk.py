"""Alibaba's alibabacloud-oss-v2 against `partfs mock --dialect oss`."""

import datetime
import hashlib
import sys
import threading

import alibabacloud_oss_v2 as oss
import requests
from alibabacloud_oss_v2.credentials import StaticCredentialsProvider
from alibabacloud_oss_v2.exceptions import OperationError

from cases import ODD_NAMES, case, content, digest, digest_of, refused, run, same, true
from mock_server import ACCESS_KEY_ID, SECRET_ACCESS_KEY, Mock, every_name_is_here

BUCKET = "sdk-tests"
REGION = "cn-hangzhou"
PART = 100 * 1024


def client_of(mock, key_id=ACCESS_KEY_ID, secret=SECRET_ACCESS_KEY, token=None, **more):
    """The service's host name, at the address of the mock."""
    config = oss.config.load_default()
    config.region = REGION
    config.credentials_provider = StaticCredentialsProvider(key_id, secret, token)
    config.endpoint = f"http://oss-{REGION}.aliyuncs.com:{mock.port}"
    config.retry_max_attempts = 1
    for name, value in more.items():
        setattr(config, name, value)
    return oss.Client(config)


def kind_of(error):
    return error.unwrap().status_code, error.unwrap().code


def refused_with(what, call, status, code):
    return refused(what, call, OperationError, (status, code), kind_of)


def get(key, **more):
    return client.get_object(oss.GetObjectRequest(bucket=BUCKET, key=key, **more))


def read(key, **more):
    return get(key, **more).body.read()


def put(key, body=b"hello", **more):
    return client.put_object(oss.PutObjectRequest(bucket=BUCKET, key=key, body=body, **more))


def head(key):
    return client.head_object(oss.HeadObjectRequest(bucket=BUCKET, key=key))


def start(key, **more):
    return client.initiate_multipart_upload(oss.InitiateMultipartUploadRequest(bucket=BUCKET, key=key, **more)).upload_id


def part(key, upload, number, body):
    answer = client.upload_part(oss.UploadPartRequest(bucket=BUCKET, key=key, upload_id=upload, part_number=number, body=body))
    return oss.UploadPart(part_number=number, etag=answer.etag)


def complete(key, upload, parts, **more):
    parts = oss.CompleteMultipartUpload(parts=parts)
    request = oss.CompleteMultipartUploadRequest(bucket=BUCKET, key=key, upload_id=upload, complete_multipart_upload=parts, **more)
    return client.complete_multipart_upload(request)


def keys(page):
    return [entry.key for entry in page.contents or []]


def prefixes(page):
    return [entry.prefix for entry in page.common_prefixes or []]


@case
def what_is_put_is_got(ground):
    key, body = ground.key("file.txt"), content(100_000)
    answer = put(key, body)  # compares the CRC-64
    same("ETag", answer.etag, f'"{hashlib.md5(body).hexdigest().upper()}"')
    true("a CRC-64 is told", answer.hash_crc64)
    same("content", digest(read(key)), digest(body))
    true("it exists", client.is_object_exist(BUCKET, key))
    true("another does not", not client.is_object_exist(BUCKET, ground.key("absent")))
    refused_with("GET of an absent key", lambda: read(ground.key("absent")), 404, "NoSuchKey")
    refused("HEAD of an absent key", lambda: head(ground.key("absent")), OperationError, 404, lambda error: kind_of(error)[0])
    put(ground.key("empty"), b"")
    same("nothing", read(ground.key("empty")), b"")


@case
def ranges(ground):
    key = ground.key("digits")
    put(key, b"0123456789")
    answer = get(key, range_header="bytes=2-4", range_behavior="standard")
    same("bytes 2 to 4", (answer.body.read(), answer.content_range), (b"234", "bytes 2-4/10"))
    refused_with("beyond the end", lambda: get(key, range_header="bytes=10-", range_behavior="standard"), 416, "InvalidRange")


@case
def properties_come_back(ground):
    given = {
        "content_type": "text/x-odd",
        "cache_control": "max-age=60",
        "content_disposition": 'attachment; filename="a b.txt"',
        "content_encoding": "x-none",
        "expires": "Thu, 01 Jan 2032 00:00:00 GMT",
        "storage_class": "IA",
        "metadata": {"mtime": "1700000000.5", "mode": "33188"},
    }
    put(ground.key("single"), **given)
    upload = start(ground.key("multipart"), **given)
    complete(ground.key("multipart"), upload, [part(ground.key("multipart"), upload, 1, b"hello")])
    for name, kind in [("single", "Normal"), ("multipart", "Multipart")]:
        found = head(ground.key(name))
        same("properties of " + name, {field: getattr(found, field) for field in given}, given)
        same("size and kind", (found.content_length, found.object_type), (5, kind))


@case
def an_acl_is_kept(ground):
    key = ground.key("file")
    put(key, acl="public-read")
    acl = lambda: client.get_object_acl(oss.GetObjectAclRequest(bucket=BUCKET, key=key)).acl
    same("ACL", acl(), "public-read")
    client.put_object_acl(oss.PutObjectAclRequest(bucket=BUCKET, key=key, acl="private"))
    same("changed ACL", acl(), "private")


@case
def encryption_by_the_service_is_told(ground):
    put(ground.key("file"), server_side_encryption="AES256")
    same("encryption", head(ground.key("file")).server_side_encryption, "AES256")


@case
def a_large_file_in_parallel_parts(ground):
    body = content(12 * PART + 77)
    file, key, seen = ground.file("large", body), ground.key("large"), []
    uploader = client.uploader(part_size=PART, parallel_num=5)
    request = oss.PutObjectRequest(bucket=BUCKET, key=key, progress_fn=lambda more, done, total: seen.append((done, total)))
    answer = uploader.upload_file(request, file)
    same("progress", seen[-1], (len(body), len(body)))
    found = head(key)
    same("size and ETag", (found.content_length, found.etag), (len(body), answer.etag))
    true("the ETag tells the number of parts", found.etag.endswith('-13"'))
    downloader = client.downloader(part_size=2 * PART, parallel_num=3)
    downloader.download_file(oss.GetObjectRequest(bucket=BUCKET, key=key), ground.path("back"))
    same("content", digest_of(ground.path("back")), digest(body))
    with open(file, "rb") as stream:
        uploader.upload_from(oss.PutObjectRequest(bucket=BUCKET, key=ground.key("stream")), stream)
    same("content of the stream", digest(read(ground.key("stream"))), digest(body))


@case
def an_interrupted_upload_is_resumed(ground):
    body = content(8 * PART + 1)
    file, key = ground.file("large", body), ground.key("large")
    request = lambda: oss.PutObjectRequest(bucket=BUCKET, key=key)
    with Mock("oss", BUCKET) as mock:
        own = client_of(mock)
        send, sent, lock = own.upload_part, [], threading.Lock()

        def break_off_after_four(request, **more):
            with lock:
                if len(sent) == 4:
                    raise RuntimeError("pulled out")
                sent.append(request.part_number)
            return send(request, **more)

        own.upload_part = break_off_after_four
        # One at a time: the SDK sends all again that comes after the first part that is missing.
        how = {"part_size": PART, "parallel_num": 1, "enable_checkpoint": True, "checkpoint_dir": ground.directory + "/"}
        first = lambda: own.uploader(**how).upload_file(request(), file)
        refused("the first try", first, oss.exceptions.BaseError, True, lambda _: True)
        uploads = own.list_multipart_uploads(oss.ListMultipartUploadsRequest(bucket=BUCKET)).uploads
        same("uploads that are left", [entry.key for entry in uploads], [key])
        parts = own.list_parts(oss.ListPartsRequest(bucket=BUCKET, key=key, upload_id=uploads[0].upload_id)).parts
        same("parts that are there", [(entry.part_number, entry.size) for entry in parts], [(n, PART) for n in [1, 2, 3, 4]])
        client_of(mock).uploader(**how).upload_file(request(), file)
        same("content", digest(own.get_object(oss.GetObjectRequest(bucket=BUCKET, key=key)).body.read()), digest(body))
        counts = mock.stop()
    same("parts that were sent in both tries", counts["upload part"], 9)
    same("uploads that were started", counts["initiate multipart upload"], 1)


@case
def parts_are_listed_page_by_page(ground):
    key = ground.key("file")
    upload = start(key)
    for number in [7, 1, 3]:
        part(key, upload, number, content(1000, number))
    request = oss.ListPartsRequest(bucket=BUCKET, key=key, upload_id=upload)
    pages = list(client.list_parts_paginator(limit=2).iter_page(request))
    found = [(entry.part_number, entry.size, entry.etag) for page in pages for entry in page.parts]
    same("pages", len(pages), 2)
    same("parts", found, [(n, 1000, f'"{hashlib.md5(content(1000, n)).hexdigest().upper()}"') for n in [1, 3, 7]])


@case
def uploads_are_listed_and_aborted(ground):
    # No control characters: the answer to the start of an upload repeats the key in XML.
    uploads = {key: start(key) for key in [ground.key(name) for name in ["a b", "a+b", "d/x", "d/y", "%41 中"]]}
    request = oss.ListMultipartUploadsRequest(bucket=BUCKET, prefix=ground.prefix)
    pages = client.list_multipart_uploads_paginator(limit=2).iter_page(request)
    same("uploads", {entry.key: entry.upload_id for page in pages for entry in page.uploads or []}, uploads)
    abort = lambda key: client.abort_multipart_upload(
        oss.AbortMultipartUploadRequest(bucket=BUCKET, key=key, upload_id=uploads[key])
    )
    for key in uploads:
        abort(key)
    true("none is left", not client.list_multipart_uploads(request).uploads)
    refused_with("a second abort", lambda: abort(ground.key("a b")), 404, "NoSuchUpload")


@case
def complete_refuses_what_was_not_sent(ground):
    key = ground.key("file")
    upload = start(key)
    parts = [part(key, upload, number, content(PART, number)) for number in [1, 2]]
    wrong = lambda number, etag: lambda: complete(key, upload, [parts[0], oss.UploadPart(part_number=number, etag=etag)])
    refused_with("a wrong ETag", wrong(2, f'"{"0" * 32}"'), 400, "InvalidPart")
    refused_with("an unknown part", wrong(3, parts[1].etag), 400, "InvalidPart")
    refused_with("the wrong order", lambda: complete(key, upload, parts[::-1]), 400, "InvalidPartOrder")
    refused_with("no parts", lambda: complete(key, upload, []), 400, "MalformedXML")
    refused_with("an unknown upload", lambda: complete(key, "0", parts), 404, "NoSuchUpload")
    complete(key, upload, parts)
    same("content", digest(read(key)), digest(content(PART, 1) + content(PART, 2)))


@case
def append(ground):
    key = ground.key("log")
    call = lambda position, body, **more: client.append_object(
        oss.AppendObjectRequest(bucket=BUCKET, key=key, position=position, body=body, **more)
    )
    first = call(0, b"hello ")
    same("next position", first.next_position, 6)
    same("next position", call(6, b"world").next_position, 11)
    same("content", read(key), b"hello world")
    same("kind", head(key).object_type, "Appendable")
    refused_with("a wrong position", lambda: call(3, b"x"), 409, "PositionNotEqualToLength")
    with client.append_file(BUCKET, key) as file:
        file.write(b"!")
    same("content after append_file", read(key), b"hello world!")


@case
def odd_keys(ground):
    for number, name in enumerate(ODD_NAMES):
        put(ground.key(name), content(100, number))
    for number, name in enumerate(ODD_NAMES):
        same(f"content of {name!r}", digest(read(ground.key(name))), digest(content(100, number)))
    wanted = sorted((ground.key(name) for name in ODD_NAMES), key=lambda key: key.encode())
    pages = client.list_objects_v2_paginator(limit=5).iter_page(oss.ListObjectsV2Request(bucket=BUCKET, prefix=ground.prefix))
    same("keys in order by version 2", [key for page in pages for key in keys(page)], wanted)
    pages = client.list_objects_paginator(limit=5).iter_page(oss.ListObjectsRequest(bucket=BUCKET, prefix=ground.prefix))
    same("keys in order by version 1", [key for page in pages for key in keys(page)], wanted)


@case
def listing_by_directory(ground):
    for name in ["a", "b/1", "b/2", "b c/1", "d"]:
        put(ground.key(name))
    request = oss.ListObjectsV2Request(bucket=BUCKET, prefix=ground.prefix, delimiter="/", max_keys=2)
    first = client.list_objects_v2(request)
    same("a page counts both", (keys(first), prefixes(first), first.key_count), ([ground.key("a")], [ground.key("b c/")], 2))
    request.continuation_token = first.next_continuation_token
    rest = client.list_objects_v2(request)
    same("the rest", (keys(rest), prefixes(rest)), ([ground.key("d")], [ground.key("b/")]))


@case
def copies(ground):
    body, key = content(3 * PART + 9), ground.key("odd + 100% 中")
    put(key, body, content_type="text/x-odd", metadata={"a": "1"})
    copy = lambda to, **more: client.copy_object(oss.CopyObjectRequest(bucket=BUCKET, key=to, source_key=key, **more))
    answer = copy(ground.key("same"))
    found = head(ground.key("same"))
    same("copied properties", (found.content_type, found.metadata, found.etag), ("text/x-odd", {"a": "1"}, answer.etag))
    copy(key, metadata_directive="REPLACE", metadata={"b": "2"})
    same("replaced metadata", head(key).metadata, {"b": "2"})
    refused_with("a stale source", lambda: copy(ground.key("no"), if_match='"0"'), 412, "PreconditionFailed")
    copier = client.copier(part_size=PART, multipart_copy_threshold=PART, parallel_num=2)
    request = oss.CopyObjectRequest(bucket=BUCKET, key=ground.key("parts"), source_bucket=BUCKET, source_key=key)
    copier.copy(request, disable_shallow_copy=True)
    for name in ["same", "parts"]:
        same("content of " + name, digest(read(ground.key(name))), digest(body))
    same("metadata of the copy in parts", head(ground.key("parts")).metadata, {"b": "2"})


@case
def many_are_deleted_at_once(ground):
    # XML cannot carry a control character, and the SDK writes a bare CR, which an XML parser reads as LF.
    listed = [ground.key(name) for name in ODD_NAMES if "\x01" not in name and "\r" not in name]
    for key in listed:
        put(key)
    objects = [oss.DeleteObject(key=key) for key in listed + [ground.key("absent")]]
    answer = client.delete_multiple_objects(oss.DeleteMultipleObjectsRequest(bucket=BUCKET, encoding_type="url", objects=objects))
    same("deleted", sorted(entry.key for entry in answer.deleted_objects), sorted(listed + [ground.key("absent")]))
    same("what is left", keys(client.list_objects_v2(oss.ListObjectsV2Request(bucket=BUCKET, prefix=ground.prefix))), [])
    put(ground.key("one"))
    quiet = oss.DeleteMultipleObjectsRequest(bucket=BUCKET, objects=[oss.DeleteObject(key=ground.key("one"))], quiet=True)
    true("a quiet answer names nothing", not client.delete_multiple_objects(quiet).deleted_objects)


@case
def create_only_refuses_an_existing_key(ground):
    key, late = ground.key("file"), ground.key("late")
    put(key, b"first", forbid_overwrite=True)
    refused_with("PUT", lambda: put(key, b"second", forbid_overwrite=True), 409, "FileAlreadyExists")
    upload = start(late)
    parts = [part(late, upload, 1, b"second")]
    put(late, b"first")
    refused_with("complete", lambda: complete(late, upload, parts, forbid_overwrite=True), 409, "FileAlreadyExists")
    same("content", (read(key), read(late)), (b"first", b"first"))


@case
def presigned_urls(ground):
    key = ground.key("odd + 100% 中")
    put(key)
    minute = datetime.timedelta(seconds=60)
    sign = lambda request: client.presign(request, expires=minute).url
    url = sign(oss.GetObjectRequest(bucket=BUCKET, key=key, response_content_type="text/x-odd"))
    answer = requests.get(url, timeout=30)
    same("answer", (answer.status_code, answer.content, answer.headers["Content-Type"]), (200, b"hello", "text/x-odd"))
    same("PUT", requests.put(sign(oss.PutObjectRequest(bucket=BUCKET, key=key)), data=b"new", timeout=30).status_code, 200)
    same("content", read(key), b"new")
    other = sign(oss.GetObjectRequest(bucket=BUCKET, key=ground.key("other")))
    forged = url.split("?")[0] + "?" + other.split("?")[1]
    same("the signature of another key", requests.get(forged, timeout=30).status_code, 403)


@case
def a_temporary_token_is_needed(ground):
    request = oss.GetObjectRequest(bucket=BUCKET, key=ground.key("file"))
    with Mock("oss", BUCKET, token="the-token/+=") as mock:
        with_token = client_of(mock, token="the-token/+=")
        with_token.put_object(oss.PutObjectRequest(bucket=BUCKET, key=ground.key("file"), body=b"hello"))
        same("content", with_token.get_object(request).body.read(), b"hello")
        same("presigned", requests.get(with_token.presign(request).url, timeout=30).content, b"hello")
        for what, wrong in [("no token", client_of(mock)), ("another token", client_of(mock, token="other"))]:
            refused(what, lambda: wrong.get_object(request), OperationError, 403, lambda error: kind_of(error)[0])


@case
def wrong_keys_are_refused(ground):
    request = oss.GetObjectRequest(bucket=BUCKET, key="x")
    refused_with("a wrong secret", lambda: client_of(server, secret="another").get_object(request), 403, "SignatureDoesNotMatch")
    refused_with("an unknown key", lambda: client_of(server, key_id="nobody").get_object(request), 403, "InvalidAccessKeyId")
    another = oss.ListObjectsV2Request(bucket="another-bucket")
    refused_with("another bucket", lambda: client.list_objects_v2(another), 404, "NoSuchBucket")


@case
def other_ways_to_sign_and_to_address(ground):
    key = ground.key("a b+中")
    ways = {
        "version 1": {"signature_version": "v1"},
        "by path": {"use_path_style": True, "endpoint": f"http://{server.address}"},
        "version 1 by path": {"signature_version": "v1", "use_path_style": True, "endpoint": f"http://{server.address}"},
        "more headers signed": {"additional_headers": ["content-length", "host"]},
    }
    for what, way in ways.items():
        own = client_of(server, **way)
        own.put_object(oss.PutObjectRequest(bucket=BUCKET, key=key, body=what.encode()))
        same(what, own.get_object(oss.GetObjectRequest(bucket=BUCKET, key=key)).body.read(), what.encode())
        page = own.list_objects_v2(oss.ListObjectsV2Request(bucket=BUCKET, prefix=ground.prefix))
        same(what, keys(page), [key])


if __name__ == "__main__":
    with every_name_is_here(), Mock("oss", BUCKET) as server:
        client = client_of(server)
        sys.exit(run("oss_v2_sdk") > 0)
