"""Tencent's cos-python-sdk-v5 against `partfs mock --dialect cos`."""

import base64
import hashlib
import sys
import threading

import requests
from qcloud_cos import CosConfig, CosS3Client
from qcloud_cos.cos_exception import CosClientError, CosServiceError

from cases import ODD_NAMES, case, content, digest, digest_of, refused, run, same, true
from mock_server import ACCESS_KEY_ID, SECRET_ACCESS_KEY, Mock, every_name_is_here

BUCKET = "sdk-1250000000"
REGION = "ap-guangzhou"
MIB = 1 << 20


def client_of(mock, secret=SECRET_ACCESS_KEY, token=None):
    """Uses the host name of the service, at the address of the mock."""
    config = CosConfig(
        Region=REGION, SecretId=ACCESS_KEY_ID, SecretKey=secret, Token=token, Scheme="http", IP=mock.host, Port=mock.port
    )
    return CosS3Client(config, retry=0)


def kind_of(error):
    return error.get_status_code(), error.get_error_code()


def refused_with(what, call, status, code):
    return refused(what, call, CosServiceError, (status, code), kind_of)


def source_of(key):
    return {"Bucket": BUCKET, "Region": REGION, "Key": key}


def read(key, **more):
    return client.get_object(Bucket=BUCKET, Key=key, **more)["Body"].get_raw_stream().read()


def put(key, body=b"hello", **more):
    return client.put_object(Bucket=BUCKET, Key=key, Body=body, **more)


def start(key, **more):
    return client.create_multipart_upload(Bucket=BUCKET, Key=key, **more)["UploadId"]


def part(key, upload, number, body):
    return client.upload_part(Bucket=BUCKET, Key=key, UploadId=upload, PartNumber=number, Body=body)["ETag"]


def complete(key, upload, parts, **more):
    parts = [{"PartNumber": number, "ETag": etag} for number, etag in parts]
    return client.complete_multipart_upload(Bucket=BUCKET, Key=key, UploadId=upload, MultipartUpload={"Part": parts}, **more)


def names(listing, what="Contents", field="Key"):
    return [entry[field] for entry in listing.get(what, [])]


@case
def what_is_put_is_got(ground):
    key, body = ground.key("file.txt"), content(100_000)
    answer = put(key, body, EnableMD5=True)
    same("ETag of the answer", answer["ETag"], f'"{hashlib.md5(body).hexdigest()}"')
    same("content", digest(read(key)), digest(body))
    true("it exists", client.object_exists(Bucket=BUCKET, Key=key))
    true("another does not", not client.object_exists(Bucket=BUCKET, Key=ground.key("absent")))
    refused_with("GET of an absent key", lambda: read(ground.key("absent")), 404, "NoSuchKey")


@case
def an_empty_object(ground):
    put(ground.key("empty"), b"")
    same("content", read(ground.key("empty")), b"")


@case
def a_body_of_unknown_length(ground):
    body = content(3 * MIB)
    put(ground.key("chunked"), (body[at : at + 100_000] for at in range(0, len(body), 100_000)))
    same("content", digest(read(ground.key("chunked"))), digest(body))


@case
def ranges(ground):
    key = ground.key("digits")
    put(key, b"0123456789")
    same("bytes 2 to 4", read(key, Range="bytes=2-4"), b"234")
    same("from byte 7", read(key, Range="bytes=7-"), b"789")
    same("past the end", read(key, Range="bytes=8-100"), b"89")
    refused_with("beyond the end", lambda: read(key, Range="bytes=10-"), 416, "InvalidRange")


@case
def conditions(ground):
    key = ground.key("file")
    etag = put(key)["ETag"]
    same("If-Match holds", read(key, IfMatch=etag), b"hello")
    refused_with("If-Match fails", lambda: read(key, IfMatch='"0"'), 412, "PreconditionFailed")
    same("If-None-Match holds", read(key, IfNoneMatch='"0"'), b"hello")


@case
def properties_come_back(ground):
    key = ground.key("file")
    given = {
        "ContentType": "text/x-odd",
        "CacheControl": "max-age=60",
        "ContentDisposition": 'attachment; filename="a b.txt"',
        "ContentEncoding": "x-none",
        "ContentLanguage": "de",
        "Expires": "Thu, 01 Jan 2032 00:00:00 GMT",
        "StorageClass": "STANDARD_IA",
        "Metadata": {"x-cos-meta-mtime": "1700000000.5", "x-cos-meta-mode": "33188"},
    }
    wanted = {
        "Content-Type": "text/x-odd",
        "Cache-Control": "max-age=60",
        "Content-Disposition": 'attachment; filename="a b.txt"',
        "Content-Encoding": "x-none",
        "Content-Language": "de",
        "Expires": "Thu, 01 Jan 2032 00:00:00 GMT",
        "x-cos-storage-class": "STANDARD_IA",
        "x-cos-meta-mtime": "1700000000.5",
        "x-cos-meta-mode": "33188",
        "Content-Length": "5",
    }
    put(key, **given)
    upload = start(ground.key("multipart"), **given)
    complete(ground.key("multipart"), upload, [(1, part(ground.key("multipart"), upload, 1, b"hello"))])
    for name in [key, ground.key("multipart")]:
        head = client.head_object(Bucket=BUCKET, Key=name)
        same("properties of " + name, {header: head.get(header) for header in wanted}, wanted)
    entry = client.list_objects(Bucket=BUCKET, Prefix=key)["Contents"][0]
    same("storage class in the list", entry["StorageClass"], "STANDARD_IA")
    answer = client.get_object(Bucket=BUCKET, Key=key, ResponseContentType="text/plain", ResponseCacheControl="no-cache")
    same("overridden type", (answer["Content-Type"], answer["Cache-Control"]), ("text/plain", "no-cache"))


@case
def an_acl_is_kept(ground):
    key = ground.key("file")
    put(key, ACL="public-read")
    same("canned ACL", client.get_object_acl(Bucket=BUCKET, Key=key)["CannedACL"], "public-read")
    client.put_object_acl(Bucket=BUCKET, Key=key, ACL="private")
    same("changed ACL", client.get_object_acl(Bucket=BUCKET, Key=key)["CannedACL"], "private")


@case
def a_customer_key_is_needed_to_read(ground):
    secret = b"01234567890123456789012345678901"
    trio = {
        "SSECustomerAlgorithm": "AES256",
        "SSECustomerKey": base64.b64encode(secret).decode(),
        "SSECustomerKeyMD5": base64.b64encode(hashlib.md5(secret).digest()).decode(),
    }
    body = content(2 * MIB + 5)
    file = ground.file("file", body)
    put(ground.key("single"), body, **trio)
    client.upload_file(Bucket=BUCKET, Key=ground.key("multipart"), LocalFilePath=file, PartSize=1, **trio)
    for name in ["single", "multipart"]:
        key = ground.key(name)
        same("content of " + name, digest(read(key, **trio)), digest(body))
        head = client.head_object(Bucket=BUCKET, Key=key, **trio)
        same("key of " + name, head["x-cos-server-side-encryption-customer-key-MD5"], trio["SSECustomerKeyMD5"])
        refused(name + " without its key", lambda: read(key), CosServiceError, 400, lambda error: error.get_status_code())
    from_trio = {"CopySource" + name: value for name, value in trio.items()}
    client.copy_object(Bucket=BUCKET, Key=ground.key("copy"), CopySource=source_of(ground.key("single")), **from_trio)
    same("content of the copy", digest(read(ground.key("copy"))), digest(body))


@case
def encryption_by_the_service_is_told(ground):
    put(ground.key("file"), ServerSideEncryption="AES256")
    head = client.head_object(Bucket=BUCKET, Key=ground.key("file"))
    same("encryption", head.get("x-cos-server-side-encryption"), "AES256")


@case
def a_large_file_in_parallel_parts(ground):
    body = content(12 * MIB + 77)
    file, key = ground.file("large", body), ground.key("large")
    progress = []
    client.upload_file(
        Bucket=BUCKET, Key=key, LocalFilePath=file, PartSize=1, MAXThread=6, EnableMD5=True,
        progress_callback=lambda done, total: progress.append((done, total)),
    )
    same("progress", (len(progress), progress[-1]), (13, (len(body), len(body))))
    head = client.head_object(Bucket=BUCKET, Key=key)
    same("size", head["Content-Length"], str(len(body)))
    true("the ETag tells the number of parts", head["ETag"].endswith('-13"'))
    client.download_file(Bucket=BUCKET, Key=key, DestFilePath=ground.path("back"), PartSize=1, EnableCRC=True)
    same("content", digest_of(ground.path("back")), digest(body))


@case
def an_interrupted_upload_is_resumed(ground):
    body = content(8 * MIB + 1)
    file, key = ground.file("large", body), ground.key("large")
    with Mock("cos", BUCKET) as mock:
        own = client_of(mock)
        send, sent, lock = own.upload_part, [], threading.Lock()

        def break_off_after_four(*arguments, **more):
            with lock:
                if len(sent) == 4:
                    raise CosClientError("pulled out")
                sent.append(arguments[3])
            return send(*arguments, **more)

        own.upload_part = break_off_after_four
        refused("the first try", lambda: own.upload_file(BUCKET, key, file, PartSize=1, MAXThread=3), CosClientError, True, lambda _: True)
        uploads = own.list_multipart_uploads(Bucket=BUCKET)["Upload"]
        same("uploads that are left", [entry["Key"] for entry in uploads], [key])
        parts = own.list_parts(Bucket=BUCKET, Key=key, UploadId=uploads[0]["UploadId"])["Part"]
        same("parts that are there", sorted(int(entry["PartNumber"]) for entry in parts), sorted(sent))
        client_of(mock).upload_file(BUCKET, key, file, PartSize=1, MAXThread=3)
        back = own.get_object(Bucket=BUCKET, Key=key)["Body"].get_raw_stream().read()
        same("content", digest(back), digest(body))
        true("no upload is left", "Upload" not in own.list_multipart_uploads(Bucket=BUCKET))
        counts = mock.stop()
    same("parts that were sent in both tries", counts["upload part"], 9)
    same("uploads that were started", counts["initiate multipart upload"], 1)


@case
def parts_are_listed_page_by_page(ground):
    key = ground.key("file")
    upload = start(key)
    for number in [3, 1, 2]:
        part(key, upload, number, content(1000, number))
    first = client.list_parts(Bucket=BUCKET, Key=key, UploadId=upload, MaxParts=2)
    same("first page", ([p["PartNumber"] for p in first["Part"]], first["IsTruncated"]), (["1", "2"], "true"))
    rest = client.list_parts(Bucket=BUCKET, Key=key, UploadId=upload, PartNumberMarker=int(first["NextPartNumberMarker"]))
    same("second page", ([(p["PartNumber"], p["Size"]) for p in rest["Part"]], rest["IsTruncated"]), ([("3", "1000")], "false"))
    same("ETag", rest["Part"][0]["ETag"], f'"{hashlib.md5(content(1000, 3)).hexdigest()}"')


@case
def uploads_are_listed_and_aborted(ground):
    # No control characters: the answer to the start of an upload repeats the key in XML.
    keys = [ground.key(name) for name in ["a b", "a+b", "d/x", "d/y", "%41 中"]]
    uploads = {key: start(key) for key in keys}
    found, key_marker, id_marker = {}, "", ""
    while True:
        page = client.list_multipart_uploads(
            Bucket=BUCKET, Prefix=ground.prefix, MaxUploads=2, KeyMarker=key_marker, UploadIdMarker=id_marker
        )
        found.update((entry["Key"], entry["UploadId"]) for entry in page.get("Upload", []))
        if page["IsTruncated"] == "false":
            break
        key_marker, id_marker = page["NextKeyMarker"], page["NextUploadIdMarker"]
    same("uploads", found, uploads)
    page = client.list_multipart_uploads(Bucket=BUCKET, Prefix=ground.prefix, Delimiter="/")
    same("directories", names(page, "CommonPrefixes", "Prefix"), [ground.key("d/")])
    for key, upload in uploads.items():
        client.abort_multipart_upload(Bucket=BUCKET, Key=key, UploadId=upload)
    true("none is left", "Upload" not in client.list_multipart_uploads(Bucket=BUCKET, Prefix=ground.prefix))
    again = lambda: client.abort_multipart_upload(Bucket=BUCKET, Key=keys[0], UploadId=uploads[keys[0]])
    refused_with("a second abort", again, 404, "NoSuchUpload")


@case
def complete_refuses_what_was_not_sent(ground):
    key = ground.key("file")
    upload = start(key)
    etags = [part(key, upload, number, content(MIB, number)) for number in [1, 2]]
    wrong = '"00000000000000000000000000000000"'
    refused_with("a wrong ETag", lambda: complete(key, upload, [(1, etags[0]), (2, wrong)]), 400, "InvalidPart")
    refused_with("an unknown part", lambda: complete(key, upload, [(1, etags[0]), (3, etags[1])]), 400, "InvalidPart")
    refused_with("the wrong order", lambda: complete(key, upload, [(2, etags[1]), (1, etags[0])]), 400, "InvalidPartOrder")
    refused_with("no parts", lambda: complete(key, upload, []), 400, "MalformedXML")
    refused_with("an unknown upload", lambda: complete(key, "0", [(1, etags[0])]), 404, "NoSuchUpload")
    complete(key, upload, [(1, etags[0]), (2, etags[1])])
    same("content", digest(read(key)), digest(content(MIB, 1) + content(MIB, 2)))


@case
def complete_refuses_small_parts(ground):
    key = ground.key("file")
    upload = start(key)
    etags = [part(key, upload, number, content(1000, number)) for number in [1, 2]]
    refused_with("small parts", lambda: complete(key, upload, list(enumerate(etags, 1))), 400, "EntityTooSmall")


@case
def append(ground):
    key = ground.key("log")
    position = "x-cos-next-append-position"
    first = client.append_object(Bucket=BUCKET, Key=key, Position=0, Data=b"hello ", ContentType="text/plain")
    same("next position", first[position], "6")
    second = client.append_object(Bucket=BUCKET, Key=key, Position=6, Data=b"world")
    same("next position", second[position], "11")
    same("content", read(key), b"hello world")
    head = client.head_object(Bucket=BUCKET, Key=key)
    same("kind", (head["x-cos-object-type"], head["Content-Type"]), ("appendable", "text/plain"))
    refused_with("a wrong position", lambda: client.append_object(BUCKET, key, 3, b"x"), 409, "AppendPositionErr")
    put(ground.key("normal"))
    refused_with("a normal object", lambda: client.append_object(BUCKET, ground.key("normal"), 5, b"x"), 409, "ObjectNotAppendable")


@case
def odd_keys(ground):
    # The SDK takes a listing apart by evaluating the text of a dictionary, so what a listing holds
    # must survive that too.
    for number, name in enumerate(ODD_NAMES):
        put(ground.key(name), content(100, number))
    for number, name in enumerate(ODD_NAMES):
        same(f"content of {name!r}", digest(read(ground.key(name))), digest(content(100, number)))
    found, marker = [], ""
    while True:
        page = client.list_objects(Bucket=BUCKET, Prefix=ground.prefix, Marker=marker, MaxKeys=5)
        found += names(page)
        if page["IsTruncated"] == "false":
            break
        marker = page["NextMarker"]
    wanted = sorted((ground.key(name) for name in ODD_NAMES), key=lambda key: key.encode())
    same("keys in order", found, wanted)


@case
def listing_by_directory(ground):
    for name in ["a", "b/1", "b/2", "b c/1", "d"]:
        put(ground.key(name))
    page = client.list_objects(Bucket=BUCKET, Prefix=ground.prefix, Delimiter="/")
    same("files", names(page), [ground.key("a"), ground.key("d")])
    same("directories", names(page, "CommonPrefixes", "Prefix"), [ground.key("b c/"), ground.key("b/")])
    first = client.list_objects(Bucket=BUCKET, Prefix=ground.prefix, Delimiter="/", MaxKeys=2)
    same("a page counts both", (names(first), names(first, "CommonPrefixes", "Prefix")), ([ground.key("a")], [ground.key("b c/")]))
    rest = client.list_objects(Bucket=BUCKET, Prefix=ground.prefix, Delimiter="/", Marker=first["NextMarker"])
    same("the rest", (names(rest), names(rest, "CommonPrefixes", "Prefix")), ([ground.key("d")], [ground.key("b/")]))


@case
def copies(ground):
    body, key = content(1000), ground.key("odd + 100% 中")
    put(key, body, ContentType="text/x-odd", Metadata={"x-cos-meta-a": "1"})
    answer = client.copy_object(Bucket=BUCKET, Key=ground.key("same"), CopySource=source_of(key))
    head = client.head_object(Bucket=BUCKET, Key=ground.key("same"))
    same("copied properties", (head["Content-Type"], head["x-cos-meta-a"], head["ETag"]), ("text/x-odd", "1", answer["ETag"]))
    same("content", digest(read(ground.key("same"))), digest(body))
    client.copy_object(Bucket=BUCKET, Key=key, CopySource=source_of(key), CopyStatus="Replaced", Metadata={"x-cos-meta-b": "2"})
    head = client.head_object(Bucket=BUCKET, Key=key)
    same("replaced metadata", (head.get("x-cos-meta-a"), head["x-cos-meta-b"]), (None, "2"))
    stale = lambda: client.copy_object(Bucket=BUCKET, Key=ground.key("no"), CopySource=source_of(key), CopySourceIfMatch='"0"')
    refused_with("a stale source", stale, 412, "PreconditionFailed")
    absent = lambda: client.copy_object(Bucket=BUCKET, Key=ground.key("no"), CopySource=source_of(ground.key("absent")))
    refused_with("an absent source", absent, 404, "NoSuchCopySource")


@case
def a_large_copy_in_parts(ground):
    body, key = content(3 * MIB + 9), ground.key("source")
    put(key, body)
    with Mock("cos", BUCKET) as mock, every_name_is_here():
        # The SDK asks for the source's size by host name.
        endpoint = f"cos.{REGION}.myqcloud.com:{mock.port}"
        own = CosS3Client(CosConfig(Endpoint=endpoint, SecretId=ACCESS_KEY_ID, SecretKey=SECRET_ACCESS_KEY, Scheme="http"), retry=0)
        own.put_object(Bucket=BUCKET, Key=key, Body=body)
        # Only a change of the storage class makes the SDK copy in parts within one region.
        own._conf.set_copy_part_threshold_size(MIB)
        source = {"Bucket": BUCKET, "Endpoint": endpoint, "Key": key}
        own.copy(Bucket=BUCKET, Key=ground.key("copy"), CopySource=source, PartSize=1, StorageClass="STANDARD_IA")
        back = own.get_object(Bucket=BUCKET, Key=ground.key("copy"))
        same("content", digest(back["Body"].get_raw_stream().read()), digest(body))
        same("storage class", back["x-cos-storage-class"], "STANDARD_IA")
        counts = mock.stop()
    same("copied parts", counts["upload part copy"], 4)


@case
def many_are_deleted_at_once(ground):
    listed = [ground.key(name) for name in ODD_NAMES if "\x01" not in name and "\r" not in name]
    for key in listed:
        put(key)
    objects = {"Object": [{"Key": key} for key in listed + [ground.key("absent")]]}
    answer = client.delete_objects(Bucket=BUCKET, Delete=objects)
    same("deleted", sorted(names(answer, "Deleted")), sorted(listed + [ground.key("absent")]))
    true("nothing is left", "Contents" not in client.list_objects(Bucket=BUCKET, Prefix=ground.prefix))
    put(ground.key("one"))
    quiet = client.delete_objects(Bucket=BUCKET, Delete={"Quiet": "true", "Object": [{"Key": ground.key("one")}]})
    true("a quiet answer names nothing", not quiet or "Deleted" not in quiet)
    client.delete_object(Bucket=BUCKET, Key=ground.key("absent"))


@case
def create_only_refuses_an_existing_key(ground):
    key = ground.key("file")
    only = {"Metadata": {"x-cos-forbid-overwrite": "true"}}
    put(key, b"first", **only)
    refused_with("PUT", lambda: put(key, b"second", **only), 409, "FileAlreadyExists")
    upload = start(ground.key("late"))
    etag = part(ground.key("late"), upload, 1, b"second")
    put(ground.key("late"), b"first")
    refused_with("complete", lambda: complete(ground.key("late"), upload, [(1, etag)], **only), 409, "FileAlreadyExists")
    copy = lambda: client.copy_object(Bucket=BUCKET, Key=key, CopySource=source_of(ground.key("late")), **only)
    refused_with("copy", copy, 409, "FileAlreadyExists")
    same("content", (read(key), read(ground.key("late"))), (b"first", b"first"))


@case
def presigned_urls(ground):
    key = ground.key("odd + 100% 中")
    put(key)
    # The host of the service is part of the signature: here the mock's address stands in the URL.
    url = client.get_presigned_url(Bucket=BUCKET, Key=key, Method="GET", Params={"response-content-type": "text/x-odd"}, SignHost=False)
    answer = requests.get(url, timeout=30)
    same("answer", (answer.status_code, answer.content, answer.headers["Content-Type"]), (200, b"hello", "text/x-odd"))
    url = client.get_presigned_url(Bucket=BUCKET, Key=key, Method="PUT", SignHost=False)
    same("PUT", requests.put(url, data=b"new", timeout=30).status_code, 200)
    same("content", read(key), b"new")
    other = client.get_presigned_url(Bucket=BUCKET, Key=ground.key("other"), Method="GET", SignHost=False)
    forged = url.split("?")[0] + "?" + other.split("?")[1]
    same("the signature of another key", requests.get(forged, timeout=30).status_code, 403)
    late = client.get_presigned_url(Bucket=BUCKET, Key=key, Method="GET", Expired=-30, SignHost=False)
    same("an expired one", requests.get(late, timeout=30).status_code, 403)


@case
def a_temporary_token_is_needed(ground):
    key = ground.key("file")
    with Mock("cos", BUCKET, token="the-token/+=") as mock:
        with_token = client_of(mock, token="the-token/+=")
        with_token.put_object(Bucket=BUCKET, Key=key, Body=b"hello")
        same("content", with_token.get_object(Bucket=BUCKET, Key=key)["Body"].get_raw_stream().read(), b"hello")
        for what, wrong in [("no token", client_of(mock)), ("another token", client_of(mock, token="other"))]:
            refused_with(what, lambda: wrong.get_object(Bucket=BUCKET, Key=key), 403, "InvalidAccessKeyId")


@case
def wrong_keys_are_refused(ground):
    wrong = client_of(server, secret="another")
    refused_with("a wrong secret", lambda: wrong.get_object(Bucket=BUCKET, Key="x"), 403, "SignatureDoesNotMatch")
    refused_with("a wrong secret", lambda: wrong.put_object(Bucket=BUCKET, Key="x", Body=b"x"), 403, "SignatureDoesNotMatch")
    config = CosConfig(Region=REGION, SecretId="nobody", SecretKey="x", Scheme="http", IP=server.host, Port=server.port)
    unknown = CosS3Client(config, retry=0)
    refused_with("an unknown key", lambda: unknown.list_objects(Bucket=BUCKET), 403, "InvalidAccessKeyId")
    refused_with("another bucket", lambda: client.list_objects(Bucket="other-1250000000"), 404, "NoSuchBucket")


@case
def the_bucket_is_there(ground):
    client.head_bucket(Bucket=BUCKET)
    true("it exists", client.bucket_exists(Bucket=BUCKET))
    true("another does not", not client.bucket_exists(Bucket="other-1250000000"))


@case
def objects_in_a_folder_outlive_the_mock(ground):
    body, key = content(2 * MIB + 3), ground.key("file")
    file = ground.file("file", body)
    for again in [False, True]:
        with Mock("cos", BUCKET, folder=ground.path("bucket")) as mock:
            own = client_of(mock)
            if not again:
                own.upload_file(BUCKET, key, file, PartSize=1, Metadata={"x-cos-meta-a": "1"})
            answer = own.get_object(Bucket=BUCKET, Key=key)
            same("content", digest(answer["Body"].get_raw_stream().read()), digest(body))
            same("metadata", answer["x-cos-meta-a"], "1")


if __name__ == "__main__":
    with Mock("cos", BUCKET) as server:
        client = client_of(server)
        sys.exit(run("cos_sdk") > 0)
