"""Alibaba's oss2 against `partfs mock --dialect oss`, once with each version of the signature."""

import hashlib
import sys
import threading

import oss2
import requests
from oss2.exceptions import OssError
from oss2.models import PartInfo

from cases import ODD_NAMES, case, content, digest, digest_of, refused, run, same, true
from mock_server import ACCESS_KEY_ID, SECRET_ACCESS_KEY, Mock, every_name_is_here

BUCKET = "sdk-tests"
REGION = "cn-hangzhou"
PART = 100 * 1024


def auth_of(key_id, secret, token):
    if token:
        return oss2.StsAuth(key_id, secret, token, auth_version=VERSION)
    return oss2.make_auth(key_id, secret, VERSION)


def bucket_of(mock, key_id=ACCESS_KEY_ID, secret=SECRET_ACCESS_KEY, token=None, name=BUCKET):
    """The service's host name, at the address of the mock."""
    endpoint = f"http://oss-{REGION}.aliyuncs.com:{mock.port}"
    return oss2.Bucket(auth_of(key_id, secret, token), endpoint, name, region=REGION)


def kind_of(error):
    return error.status, error.code


def refused_with(what, call, status, code):
    return refused(what, call, OssError, (status, code), kind_of)


def read(key, **more):
    return bucket.get_object(key, **more).read()


def part(key, upload, number, body):
    answer = bucket.upload_part(key, upload, number, body)
    return PartInfo(number, answer.etag, size=len(body), part_crc=answer.crc)


@case
def what_is_put_is_got(ground):
    key, body = ground.key("file.txt"), content(100_000)
    answer = bucket.put_object(key, body)  # compares the CRC-64
    same("ETag", answer.etag, hashlib.md5(body).hexdigest().upper())
    true("a CRC-64 is told", answer.crc is not None)
    same("content", digest(read(key)), digest(body))
    true("it exists", bucket.object_exists(key))
    true("another does not", not bucket.object_exists(ground.key("absent")))
    refused_with("GET of an absent key", lambda: read(ground.key("absent")), 404, "NoSuchKey")
    refused("HEAD of an absent key", lambda: bucket.head_object(ground.key("absent")), OssError, 404, lambda error: error.status)
    meta = bucket.get_object_meta(key)
    same("meta", (meta.content_length, meta.etag), (len(body), answer.etag))


@case
def an_empty_object(ground):
    bucket.put_object(ground.key("empty"), b"")
    same("content", read(ground.key("empty")), b"")


@case
def a_body_of_unknown_length(ground):
    body = content(3_000_000)
    bucket.put_object(ground.key("chunked"), (body[at : at + 100_000] for at in range(0, len(body), 100_000)))
    same("content", digest(read(ground.key("chunked"))), digest(body))


@case
def a_wrong_digest_is_refused(ground):
    wrong = lambda: bucket.put_object(ground.key("x"), b"x", headers={"Content-MD5": "AAAAAAAAAAAAAAAAAAAAAA=="})
    refused_with("PUT", wrong, 400, "InvalidDigest")


@case
def ranges(ground):
    key = ground.key("digits")
    bucket.put_object(key, b"0123456789")
    same("bytes 2 to 4", read(key, byte_range=(2, 4)), b"234")
    same("from byte 7", read(key, byte_range=(7, None)), b"789")
    same("the last two", read(key, byte_range=(None, 2)), b"89")
    same("beyond the end", read(key, byte_range=(10, None)), b"0123456789")
    strict = {"x-oss-range-behavior": "standard"}
    refused_with("beyond the end, strictly", lambda: read(key, byte_range=(10, None), headers=strict), 416, "InvalidRange")


@case
def conditions(ground):
    key = ground.key("file")
    etag = bucket.put_object(key, b"hello").etag
    same("If-Match holds", read(key, headers={"If-Match": f'"{etag}"'}), b"hello")
    refused_with("If-Match fails", lambda: read(key, headers={"If-Match": '"0"'}), 412, "PreconditionFailed")
    fails = lambda: read(key, headers={"If-None-Match": f'"{etag}"'})
    refused("If-None-Match fails", fails, OssError, 304, lambda error: error.status)


@case
def properties_come_back(ground):
    given = {
        "Content-Type": "text/x-odd",
        "Cache-Control": "max-age=60",
        "Content-Disposition": 'attachment; filename="a b.txt"',
        "Content-Encoding": "x-none",
        "Expires": "Thu, 01 Jan 2032 00:00:00 GMT",
        "x-oss-storage-class": "IA",
        "x-oss-meta-mtime": "1700000000.5",
        "x-oss-meta-mode": "33188",
    }
    bucket.put_object(ground.key("single"), b"hello", headers=given)
    key = ground.key("multipart")
    upload = bucket.init_multipart_upload(key, headers=given).upload_id
    bucket.complete_multipart_upload(key, upload, [part(key, upload, 1, b"hello")])
    for name, kind in [("single", "Normal"), ("multipart", "Multipart")]:
        head = bucket.head_object(ground.key(name))
        same("properties of " + name, {header: head.headers.get(header) for header in given}, given)
        same("size and kind", (head.content_length, head.object_type), (5, kind))
    entry = bucket.list_objects(prefix=ground.key("single")).object_list[0]
    same("storage class in the list", entry.storage_class, "IA")
    answer = bucket.get_object(ground.key("single"), params={"response-content-type": "text/plain"})
    same("overridden type", answer.headers["Content-Type"], "text/plain")


@case
def an_acl_is_kept(ground):
    key = ground.key("file")
    bucket.put_object(key, b"hello", headers={"x-oss-object-acl": "public-read"})
    same("ACL", bucket.get_object_acl(key).acl, "public-read")
    bucket.put_object_acl(key, oss2.OBJECT_ACL_PRIVATE)
    same("changed ACL", bucket.get_object_acl(key).acl, "private")


@case
def encryption_by_the_service_is_told(ground):
    bucket.put_object(ground.key("file"), b"hello", headers={"x-oss-server-side-encryption": "AES256"})
    same("encryption", bucket.head_object(ground.key("file")).headers.get("x-oss-server-side-encryption"), "AES256")


@case
def a_large_file_in_parallel_parts(ground):
    body = content(12 * PART + 77)
    file, key, seen = ground.file("large", body), ground.key("large"), []
    oss2.resumable_upload(
        bucket, key, file, multipart_threshold=PART, part_size=PART, num_threads=5,
        headers={"x-oss-meta-a": "1"}, progress_callback=lambda done, total: seen.append((done, total)),
    )
    same("progress", seen[-1], (len(body), len(body)))
    head = bucket.head_object(key)
    same("size and metadata", (head.content_length, head.headers["x-oss-meta-a"]), (len(body), "1"))
    true("the ETag tells the number of parts", head.etag.endswith("-13"))
    oss2.resumable_download(bucket, key, ground.path("back"), multiget_threshold=PART, part_size=2 * PART, num_threads=3)
    same("content", digest_of(ground.path("back")), digest(body))


@case
def an_interrupted_upload_is_resumed(ground):
    body = content(8 * PART + 1)
    file, key = ground.file("large", body), ground.key("large")
    with Mock("oss", BUCKET) as mock:
        own = bucket_of(mock)
        send, sent, lock = own.upload_part, [], threading.Lock()

        def break_off_after_four(key, upload, number, *arguments, **more):
            with lock:
                if len(sent) == 4:
                    raise RuntimeError("pulled out")
                sent.append(number)
            return send(key, upload, number, *arguments, **more)

        own.upload_part = break_off_after_four
        resumable = lambda bucket: oss2.resumable_upload(bucket, key, file, multipart_threshold=PART, part_size=PART, num_threads=3)
        refused("the first try", lambda: resumable(own), RuntimeError, True, lambda _: True)
        uploads = own.list_multipart_uploads().upload_list
        same("uploads that are left", [entry.key for entry in uploads], [key])
        parts = own.list_parts(key, uploads[0].upload_id).parts
        same("parts that are there", [entry.part_number for entry in parts], sorted(sent))
        resumable(bucket_of(mock))
        same("content", digest(own.get_object(key).read()), digest(body))
        same("uploads that are left", own.list_multipart_uploads().upload_list, [])
        counts = mock.stop()
    same("parts that were sent in both tries", counts["upload part"], 9)
    same("uploads that were started", counts["initiate multipart upload"], 1)


@case
def parts_are_listed_page_by_page(ground):
    key = ground.key("file")
    upload = bucket.init_multipart_upload(key).upload_id
    for number in [7, 1, 3]:
        part(key, upload, number, content(1000, number))
    first = bucket.list_parts(key, upload, max_parts=2)
    same("first page", ([p.part_number for p in first.parts], first.is_truncated), ([1, 3], True))
    found = [(p.part_number, p.size, p.etag) for p in oss2.PartIterator(bucket, key, upload, max_parts=2)]
    same("all pages", found, [(n, 1000, hashlib.md5(content(1000, n)).hexdigest().upper()) for n in [1, 3, 7]])


@case
def uploads_are_listed_and_aborted(ground):
    # No control characters: the answer to the start of an upload repeats the key in XML.
    keys = [ground.key(name) for name in ["a b", "a+b", "d/x", "d/y", "%41 中"]]
    uploads = {key: bucket.init_multipart_upload(key).upload_id for key in keys}
    found = {entry.key: entry.upload_id for entry in oss2.MultipartUploadIterator(bucket, prefix=ground.prefix, max_uploads=2)}
    same("uploads", found, uploads)
    page = bucket.list_multipart_uploads(prefix=ground.prefix, delimiter="/")
    same("directories", page.prefix_list, [ground.key("d/")])
    for key, upload in uploads.items():
        bucket.abort_multipart_upload(key, upload)
    same("what is left", bucket.list_multipart_uploads(prefix=ground.prefix).upload_list, [])
    refused_with("a second abort", lambda: bucket.abort_multipart_upload(keys[0], uploads[keys[0]]), 404, "NoSuchUpload")


@case
def complete_refuses_what_was_not_sent(ground):
    key = ground.key("file")
    upload = bucket.init_multipart_upload(key).upload_id
    parts = [part(key, upload, number, content(PART, number)) for number in [1, 2]]
    wrong = lambda number, etag: lambda: bucket.complete_multipart_upload(key, upload, [parts[0], PartInfo(number, etag)])
    refused_with("a wrong ETag", wrong(2, "0" * 32), 400, "InvalidPart")
    refused_with("an unknown part", wrong(3, parts[1].etag), 400, "InvalidPart")
    refused_with("no parts", lambda: bucket.complete_multipart_upload(key, upload, []), 400, "MalformedXML")
    refused_with("an unknown upload", lambda: bucket.complete_multipart_upload(key, "0", parts), 404, "NoSuchUpload")
    bucket.complete_multipart_upload(key, upload, parts)  # compares the CRC-64 of the whole
    same("content", digest(read(key)), digest(content(PART, 1) + content(PART, 2)))


@case
def complete_takes_all_when_told_so(ground):
    key = ground.key("file")
    upload = bucket.init_multipart_upload(key).upload_id
    for number in [2, 5]:
        part(key, upload, number, content(PART, number))
    bucket.complete_multipart_upload(key, upload, None, headers={"x-oss-complete-all": "yes"})
    same("content", digest(read(key)), digest(content(PART, 2) + content(PART, 5)))


@case
def complete_refuses_small_parts(ground):
    key = ground.key("file")
    upload = bucket.init_multipart_upload(key).upload_id
    parts = [part(key, upload, number, content(1000, number)) for number in [1, 2]]
    refused_with("small parts", lambda: bucket.complete_multipart_upload(key, upload, parts), 400, "EntityTooSmall")


@case
def append(ground):
    key = ground.key("log")
    first = bucket.append_object(key, 0, b"hello ", headers={"Content-Type": "text/plain"}, init_crc=0)
    same("next position", first.next_position, 6)
    second = bucket.append_object(key, 6, b"world", init_crc=first.crc)  # compares the CRC-64 of the whole
    same("next position", second.next_position, 11)
    same("content", read(key), b"hello world")
    head = bucket.head_object(key)
    same("kind", (head.object_type, head.headers["Content-Type"], head.headers["x-oss-next-append-position"]), ("Appendable", "text/plain", "11"))
    error = refused_with("a wrong position", lambda: bucket.append_object(key, 3, b"x"), 409, "PositionNotEqualToLength")
    same("the right position", error.next_position, 11)
    bucket.put_object(ground.key("normal"), b"hello")
    refused_with("a normal object", lambda: bucket.append_object(ground.key("normal"), 5, b"x"), 409, "ObjectNotAppendable")


@case
def odd_keys(ground):
    for number, name in enumerate(ODD_NAMES):
        bucket.put_object(ground.key(name), content(100, number))
    for number, name in enumerate(ODD_NAMES):
        same(f"content of {name!r}", digest(read(ground.key(name))), digest(content(100, number)))
    wanted = sorted((ground.key(name) for name in ODD_NAMES), key=lambda key: key.encode())
    for iterator in [oss2.ObjectIteratorV2, oss2.ObjectIterator]:
        found = [entry.key for entry in iterator(bucket, prefix=ground.prefix, max_keys=5)]
        same("keys in order by " + iterator.__name__, found, wanted)


@case
def listing_by_directory(ground):
    for name in ["a", "b/1", "b/2", "b c/1", "d"]:
        bucket.put_object(ground.key(name), b"x")
    for call in [bucket.list_objects, bucket.list_objects_v2]:
        page = call(prefix=ground.prefix, delimiter="/")
        same("files", [entry.key for entry in page.object_list], [ground.key("a"), ground.key("d")])
        same("directories", page.prefix_list, [ground.key("b c/"), ground.key("b/")])
    first = bucket.list_objects(prefix=ground.prefix, delimiter="/", max_keys=2)
    same("a page counts both", ([entry.key for entry in first.object_list], first.prefix_list), ([ground.key("a")], [ground.key("b c/")]))
    rest = bucket.list_objects(prefix=ground.prefix, delimiter="/", marker=first.next_marker)
    same("the rest", ([entry.key for entry in rest.object_list], rest.prefix_list), ([ground.key("d")], [ground.key("b/")]))
    after = bucket.list_objects_v2(prefix=ground.prefix, start_after=ground.key("b/1"))
    same("start after", [entry.key for entry in after.object_list], [ground.key("b/2"), ground.key("d")])


@case
def copies(ground):
    body, key = content(1000), ground.key("odd + 100% 中")
    bucket.put_object(key, body, headers={"Content-Type": "text/x-odd", "x-oss-meta-a": "1"})
    answer = bucket.copy_object(BUCKET, key, ground.key("same"))
    head = bucket.head_object(ground.key("same"))
    same("copied properties", (head.content_type, head.headers["x-oss-meta-a"], head.etag), ("text/x-odd", "1", answer.etag))
    same("content", digest(read(ground.key("same"))), digest(body))
    bucket.update_object_meta(key, {"x-oss-meta-b": "2"})
    head = bucket.head_object(key)
    same("replaced metadata", (head.headers.get("x-oss-meta-a"), head.headers["x-oss-meta-b"]), (None, "2"))
    stale = lambda: bucket.copy_object(BUCKET, key, ground.key("no"), headers={"x-oss-copy-source-if-match": '"0"'})
    refused_with("a stale source", stale, 412, "PreconditionFailed")
    refused_with("an absent source", lambda: bucket.copy_object(BUCKET, ground.key("absent"), ground.key("no")), 404, "NoSuchKey")


@case
def a_large_copy_in_parts(ground):
    body, key, copy = content(2 * PART + 9), ground.key("source"), ground.key("copy")
    bucket.put_object(key, body)
    upload = bucket.init_multipart_upload(copy).upload_id
    parts = []
    for number, start in enumerate(range(0, len(body), PART), 1):
        end = min(start + PART, len(body)) - 1
        answer = bucket.upload_part_copy(BUCKET, key, (start, end), copy, upload, number)
        parts.append(PartInfo(number, answer.etag))
    oss2.Bucket(bucket.auth, bucket.endpoint, BUCKET, region=REGION, enable_crc=False).complete_multipart_upload(copy, upload, parts)
    same("content", digest(read(copy)), digest(body))


@case
def many_are_deleted_at_once(ground):
    # XML cannot carry a control character, and the SDK writes a bare CR, which an XML parser reads as LF.
    listed = [ground.key(name) for name in ODD_NAMES if "\x01" not in name and "\r" not in name]
    for key in listed:
        bucket.put_object(key, b"x")
    answer = bucket.batch_delete_objects(listed + [ground.key("absent")])
    same("deleted", sorted(answer.deleted_keys), sorted(listed + [ground.key("absent")]))
    same("what is left", bucket.list_objects(prefix=ground.prefix).object_list, [])
    bucket.delete_object(ground.key("absent"))


@case
def create_only_refuses_an_existing_key(ground):
    key, late, only = ground.key("file"), ground.key("late"), {"x-oss-forbid-overwrite": "true"}
    bucket.put_object(key, b"first", headers=only)
    refused_with("PUT", lambda: bucket.put_object(key, b"second", headers=only), 409, "FileAlreadyExists")
    upload = bucket.init_multipart_upload(late).upload_id
    parts = [part(late, upload, 1, b"second")]
    bucket.put_object(late, b"first")
    refused_with("complete", lambda: bucket.complete_multipart_upload(late, upload, parts, headers=only), 409, "FileAlreadyExists")
    refused_with("copy", lambda: bucket.copy_object(BUCKET, late, key, headers=only), 409, "FileAlreadyExists")
    same("content", (read(key), read(late)), (b"first", b"first"))


@case
def presigned_urls(ground):
    key = ground.key("odd + 100% 中")
    bucket.put_object(key, b"hello")
    url = bucket.sign_url("GET", key, 60, params={"response-content-type": "text/x-odd"}, slash_safe=True)
    answer = requests.get(url, timeout=30)
    same("answer", (answer.status_code, answer.content, answer.headers["Content-Type"]), (200, b"hello", "text/x-odd"))
    put = bucket.sign_url("PUT", key, 60, slash_safe=True)
    same("PUT", requests.put(put, data=b"new", timeout=30).status_code, 200)
    same("content", read(key), b"new")
    same("with the slash encoded", bucket.get_object_with_url(bucket.sign_url("GET", key, 60)).read(), b"new")
    other = bucket.sign_url("GET", ground.key("other"), 60, slash_safe=True)
    forged = url.split("?")[0] + "?" + other.split("?")[1]
    same("the signature of another key", requests.get(forged, timeout=30).status_code, 403)
    if VERSION == "v1":
        same("an expired one", requests.get(bucket.sign_url("GET", key, -30), timeout=30).status_code, 403)


@case
def a_temporary_token_is_needed(ground):
    key = ground.key("file")
    with Mock("oss", BUCKET, token="the-token/+=") as mock:
        with_token = bucket_of(mock, token="the-token/+=")
        with_token.put_object(key, b"hello")
        same("content", with_token.get_object(key).read(), b"hello")
        same("presigned", requests.get(with_token.sign_url("GET", key, 60, slash_safe=True), timeout=30).content, b"hello")
        for what, wrong in [("no token", bucket_of(mock)), ("another token", bucket_of(mock, token="other"))]:
            refused(what, lambda: wrong.get_object(key), OssError, 403, lambda error: error.status)


@case
def wrong_keys_are_refused(ground):
    wrong = bucket_of(server, secret="another")
    error = refused_with("a wrong secret", lambda: wrong.get_object("x"), 403, "SignatureDoesNotMatch")
    true("the answer has the string to sign", error.details.get("StringToSign"))
    refused_with("a wrong secret", lambda: wrong.put_object("x", b"x"), 403, "SignatureDoesNotMatch")
    refused_with("an unknown key", lambda: bucket_of(server, key_id="nobody").list_objects(), 403, "InvalidAccessKeyId")
    refused_with("another bucket", lambda: bucket_of(server, name="another-bucket").list_objects(), 404, "NoSuchBucket")


@case
def by_address_and_by_name(ground):
    key = ground.key("a b+中")
    auth = auth_of(ACCESS_KEY_ID, SECRET_ACCESS_KEY, None)
    by_address = oss2.Bucket(auth, f"http://{server.address}", BUCKET, region=REGION)
    by_address.put_object(key, b"hello")
    same("content by path", by_address.get_object(key).read(), b"hello")
    same("keys", [entry.key for entry in by_address.list_objects(prefix=ground.prefix).object_list], [key])
    same("content by name", read(key), b"hello")


@case
def objects_in_a_folder_outlive_the_mock(ground):
    body, key = content(3 * PART + 3), ground.key("file")
    file = ground.file("file", body)
    for again in [False, True]:
        with Mock("oss", BUCKET, folder=ground.path("bucket")) as mock:
            own = bucket_of(mock)
            if not again:
                oss2.resumable_upload(own, key, file, multipart_threshold=PART, part_size=PART, headers={"x-oss-meta-a": "1"})
            answer = own.get_object(key)
            same("content and metadata", (digest(answer.read()), answer.headers["x-oss-meta-a"]), (digest(body), "1"))


if __name__ == "__main__":
    failed = 0
    for VERSION in ["v1", "v4"]:
        with every_name_is_here(), Mock("oss", BUCKET) as server:
            bucket = bucket_of(server)
            failed += run("oss2_sdk with signature " + VERSION)
    sys.exit(failed > 0)
