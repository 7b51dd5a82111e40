"""QingStor's qingstor-sdk against `partfs mock --dialect qingstor`.

The SDK raises nothing: what went wrong is in the status of the answer and in its JSON.
"""

import base64
import hashlib
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import requests
from qingstor.sdk.client.upload_client import UploadClient
from qingstor.sdk.config import Config
from qingstor.sdk.service.qingstor import QingStor

from cases import ODD_NAMES, case, content, digest, run, same, true
from mock_server import ACCESS_KEY_ID, SECRET_ACCESS_KEY, Mock, every_name_is_here

BUCKET = "sdk-tests"
MIB = 1 << 20
PART = 4 * MIB


def bucket_of(mock, key_id=ACCESS_KEY_ID, secret=SECRET_ACCESS_KEY, name=BUCKET, zone="", host=None):
    config = Config(key_id, secret)
    config.host, config.port, config.protocol = host or mock.host, mock.port, "http"
    config.connection_retries, config.enable_virtual_host_style = 0, bool(zone)
    bucket = QingStor(config).Bucket(name, zone)
    # The SDK's own UploadClient gives part numbers as numbers, which the SDK cannot put into a query.
    send = bucket.upload_multipart
    bucket.upload_multipart = lambda *more, part_number, **options: send(*more, part_number=str(part_number), **options)
    return bucket


def done(what, answer, status):
    """The answer, whose status must be this one."""
    if answer.status_code != status:
        raise AssertionError(f"{what}: {answer.status_code} {dict(answer)} instead of {status}")
    return answer


def refused_with(what, answer, status, code):
    same(what, (answer.status_code, answer.get("code")), (status, code))


def put(key, body=b"hello", **more):
    return done("PUT", bucket.put_object(key, body=body, **more), 201)


def read(key, status=200, **more):
    return done("GET", bucket.get_object(key, **more), status).content


def start(key, **more):
    return done("start", bucket.initiate_multipart_upload(key, **more), 200)["upload_id"]


def part(key, upload, number, body):
    return done("part", bucket.upload_multipart(key, part_number=str(number), upload_id=upload, body=body), 201)


def complete(key, upload, parts, **more):
    return bucket.complete_multipart_upload(key, upload_id=upload, object_parts=parts, **more)


def keys(page):
    return [entry["key"] for entry in page["keys"]]


@case
def what_is_put_is_got(ground):
    key, body = ground.key("file.txt"), content(100_000)
    answer = put(key, body, content_md5=base64.b64encode(hashlib.md5(body).digest()).decode())
    same("ETag", answer.headers["ETag"], f'"{hashlib.md5(body).hexdigest()}"')
    same("content", digest(read(key)), digest(body))
    head = done("HEAD", bucket.head_object(key), 200)
    same("size and type", (head.headers["Content-Length"], head.headers["Content-Type"]), (str(len(body)), "text/plain"))
    refused_with("GET of an absent key", bucket.get_object(ground.key("absent")), 404, "object_not_exists")
    done("HEAD of an absent key", bucket.head_object(ground.key("absent")), 404)
    wrong = bucket.put_object(ground.key("wrong"), body=b"x", content_md5="AAAAAAAAAAAAAAAAAAAAAA==")
    refused_with("a wrong Content-MD5", wrong, 400, "bad_digest")


@case
def an_empty_object(ground):
    put(ground.key("empty"), b"")
    same("content", read(ground.key("empty")), b"")


@case
def ranges(ground):
    key = ground.key("digits")
    put(key, b"0123456789")
    same("bytes 2 to 4", read(key, 206, range="bytes=2-4"), b"234")
    same("the last two", read(key, 206, range="bytes=-2"), b"89")
    refused_with("beyond the end", bucket.get_object(key, range="bytes=10-"), 416, "invalid_range")


@case
def conditions(ground):
    key = ground.key("file")
    etag = put(key).headers["ETag"]
    same("If-Match holds", read(key, if_match=etag), b"hello")
    refused_with("If-Match fails", bucket.get_object(key, if_match='"0"'), 412, "precondition_failed")
    done("If-None-Match fails", bucket.get_object(key, if_none_match=etag), 304)


@case
def properties_come_back(ground):
    metadata = {"mtime": "1700000000.5", "mode": "33188"}
    put(
        ground.key("single"), content_type="text/x-odd", cache_control="max-age=60", content_encoding="x-none",
        x_qs_storage_class="STANDARD_IA", x_qs_meta_data=metadata,
    )
    upload = start(ground.key("multipart"), content_type="text/x-odd", x_qs_storage_class="STANDARD_IA", x_qs_meta_data=metadata)
    part(ground.key("multipart"), upload, 0, b"hello")
    done("complete", complete(ground.key("multipart"), upload, [{"part_number": 0}]), 201)
    for name in ["single", "multipart"]:
        head = bucket.head_object(ground.key(name)).headers
        found = [head.get(header) for header in ["Content-Type", "X-QS-Storage-Class", "X-QS-Meta-mtime", "X-QS-Meta-mode"]]
        same("properties of " + name, found, ["text/x-odd", "STANDARD_IA", "1700000000.5", "33188"])
    head = bucket.head_object(ground.key("single")).headers
    same("of the single one", (head["Cache-Control"], head["Content-Encoding"]), ("max-age=60", "x-none"))
    page = done("list", bucket.list_objects(prefix=ground.key("single")), 200)
    same("in the list", (page["keys"][0]["storage_class"], page["keys"][0]["mime_type"]), ("STANDARD_IA", "text/x-odd"))
    answer = bucket.get_object(ground.key("single"), response_content_type="text/plain", response_cache_control="no-cache")
    same("overridden", (answer.headers["Content-Type"], answer.headers["Cache-Control"]), ("text/plain", "no-cache"))


@case
def a_customer_key_is_needed_to_read(ground):
    key, secret = ground.key("file"), b"01234567890123456789012345678901"
    names = ["algorithm", "key", "key_md5"]
    values = ["AES256", base64.b64encode(secret).decode(), base64.b64encode(hashlib.md5(secret).digest()).decode()]
    trio = {"x_qs_encryption_customer_" + name: value for name, value in zip(names, values)}
    put(key, b"hello", **trio)
    same("content", read(key, **trio), b"hello")
    done("without its key", bucket.get_object(key), 400)
    of_source = {"x_qs_copy_source_encryption_customer_" + name: value for name, value in zip(names, values)}
    copy = bucket.put_object(ground.key("copy"), x_qs_copy_source=f"/{BUCKET}/{key}", **of_source)
    done("copy", copy, 201)
    same("content of the copy", read(ground.key("copy")), b"hello")


@case
def a_large_file_in_parts(ground):
    body, key = content(2 * PART + 77), ground.key("large")
    with open(ground.file("large", body), "rb") as file:
        UploadClient(bucket, PART).upload(key, file, content_type="text/x-odd")
    head = done("HEAD", bucket.head_object(key), 200).headers
    same("size and type", (head["Content-Length"], head["Content-Type"]), (str(len(body)), "text/x-odd"))
    same("content", digest(read(key)), digest(body))


@case
def parts_in_parallel(ground):
    key = ground.key("large")
    upload = start(key)
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda number: part(key, upload, number, content(PART, number)), [3, 0, 2, 1]))
    same("ETag of a part", answers[1].headers["ETag"], f'"{hashlib.md5(content(PART, 0)).hexdigest()}"')
    own = '"0123456789abcdef0123456789abcdef"'
    done("complete", complete(key, upload, [{"part_number": number} for number in range(4)], etag=own), 201)
    same("the ETag that the client chose", bucket.head_object(key).headers["ETag"], own)
    same("content", digest(read(key)), digest(b"".join(content(PART, number) for number in range(4))))


@case
def an_interrupted_upload_is_resumed(ground):
    body = content(4 * PART + 1)
    key, reads = ground.key("large"), [0]
    with Mock("qingstor", BUCKET) as mock, open(ground.file("large", body), "rb") as file:
        own = bucket_of(mock)

        def break_off():
            reads[0] += 1
            if reads[0] > 2 * PART // 1024:
                raise RuntimeError("pulled out")

        uploader = UploadClient(own, PART)
        uploader._abort_upload = lambda *_, **__: None  # killed: nobody tidies up
        uploader.upload(key, file, hooks={"read": [break_off]})
        uploads = done("list uploads", own.list_multipart_uploads(), 200)["uploads"]
        same("uploads that are left", [entry["key"] for entry in uploads], [key])
        upload = uploads[0]["upload_id"]
        parts = done("list parts", own.list_multipart(key, upload_id=upload), 200)["object_parts"]
        same("parts that are there", [(entry["part_number"], entry["size"]) for entry in parts], [(0, PART), (1, PART)])
        # The SDK's resume() takes numbers for parts and fails before it asks anything: its pieces work.
        missing = UploadClient._cal_difference_parts([{"part_number": number} for number in range(5)], parts)
        for number in missing:
            piece = body[number * PART : (number + 1) * PART]
            done("part", own.upload_multipart(key, part_number=str(number), upload_id=upload, body=piece), 201)
        UploadClient(own, PART)._complete_upload(key, upload, [{"part_number": number} for number in range(5)])
        same("content", digest(own.get_object(key).content), digest(body))
        counts = mock.stop()
    same("parts that were sent in both tries", counts["upload part"], 5)


@case
def parts_are_listed_page_by_page(ground):
    key = ground.key("file")
    upload = start(key)
    for number in [7, 0, 3]:
        part(key, upload, number, content(1000, number))
    first = done("first page", bucket.list_multipart(key, limit="2", upload_id=upload), 200)
    same("first page", [entry["part_number"] for entry in first["object_parts"]], [0, 3])
    rest = done("second page", bucket.list_multipart(key, limit="2", upload_id=upload, part_number_marker="3"), 200)
    found = [(entry["part_number"], entry["size"], entry["etag"].strip('"')) for entry in rest["object_parts"]]
    same("second page", found, [(7, 1000, hashlib.md5(content(1000, 7)).hexdigest())])


@case
def uploads_are_listed_and_aborted(ground):
    uploads = {key: start(key) for key in [ground.key(name) for name in ["a b", "a+b", "d/x", "d/y", "%41 中", "\x01x"]]}
    found, key_marker, id_marker = {}, "", ""
    while True:
        page = bucket.list_multipart_uploads(prefix=ground.prefix, limit="2", key_marker=key_marker, upload_id_marker=id_marker)
        done("list uploads", page, 200)
        found.update((entry["key"], entry["upload_id"]) for entry in page["uploads"])
        key_marker, id_marker = page.get("next_key_marker"), page.get("next_upload_id_marker")
        if not key_marker:
            break
    same("uploads", found, uploads)
    page = bucket.list_multipart_uploads(prefix=ground.prefix, delimiter="/")
    same("directories", page["common_prefixes"], [ground.key("d/")])
    for key, upload in uploads.items():
        done("abort", bucket.abort_multipart_upload(key, upload_id=upload), 204)
    same("what is left", bucket.list_multipart_uploads(prefix=ground.prefix)["uploads"], [])
    again = bucket.abort_multipart_upload(ground.key("a b"), upload_id=uploads[ground.key("a b")])
    done("a second abort", again, 204)


@case
def complete_refuses_what_was_not_sent(ground):
    key = ground.key("file")
    upload = start(key)
    for number in [0, 1]:
        part(key, upload, number, content(PART, number))
    good = [{"part_number": 0}, {"part_number": 1, "etag": hashlib.md5(content(PART, 1)).hexdigest()}]
    done("a wrong ETag", complete(key, upload, [good[0], {"part_number": 1, "etag": "0" * 32}]), 400)
    done("an unknown part", complete(key, upload, [good[0], {"part_number": 2}]), 400)
    done("the wrong order", complete(key, upload, good[::-1]), 400)
    done("no parts", complete(key, upload, []), 400)
    refused_with("an unknown upload", complete(key, "0" * 32, good), 404, "upload_not_exists")
    done("complete", complete(key, upload, good), 201)
    same("content", digest(read(key)), digest(content(PART, 0) + content(PART, 1)))


@case
def append(ground):
    key = ground.key("log")
    call = lambda position, body, key=key: bucket.append_object(key, position=str(position), body=body, content_type="text/plain")
    same("next position", done("create", call(0, b"hello "), 200).headers["X-QS-Next-Append-Position"], "6")
    same("next position", done("append", call(6, b"world"), 200).headers["X-QS-Next-Append-Position"], "11")
    same("content", read(key), b"hello world")
    refused_with("a wrong position", call(3, b"x"), 400, "invalid_argument")
    put(ground.key("normal"))
    true("a normal object is refused", call(5, b"x", ground.key("normal")).status_code in (400, 409))


@case
def odd_keys(ground):
    for number, name in enumerate(ODD_NAMES):
        put(ground.key(name), content(100, number))
    for number, name in enumerate(ODD_NAMES):
        same(f"content of {name!r}", digest(read(ground.key(name))), digest(content(100, number)))
    found, marker = [], ""
    while True:
        page = done("list", bucket.list_objects(prefix=ground.prefix, limit="5", marker=marker), 200)
        found += keys(page)
        if not page["has_more"]:
            break
        marker = page["next_marker"]
    # In the order of the service, which is not that of bytes.
    same("keys", sorted(found), sorted(ground.key(name) for name in ODD_NAMES))


@case
def listing_by_directory(ground):
    for name in ["a", "b/1", "b/2", "b c/1", "d"]:
        put(ground.key(name))
    page = done("list", bucket.list_objects(prefix=ground.prefix, delimiter="/"), 200)
    same("files", sorted(keys(page)), [ground.key("a"), ground.key("d")])
    same("directories", sorted(page["common_prefixes"]), [ground.key("b c/"), ground.key("b/")])


@case
def copies_and_moves(ground):
    body, key = content(1000), ground.key("odd + 100% 中")
    put(key, body, content_type="text/x-odd", x_qs_meta_data={"a": "1"})
    done("copy", bucket.put_object(ground.key("same"), x_qs_copy_source=f"/{BUCKET}/{key}"), 201)
    head = bucket.head_object(ground.key("same")).headers
    same("copied properties", (head["Content-Type"], head["X-QS-Meta-a"]), ("text/x-odd", "1"))
    same("content", digest(read(ground.key("same"))), digest(body))
    replaced = bucket.put_object(
        ground.key("other"), x_qs_copy_source=f"/{BUCKET}/{key}", x_qs_metadata_directive="REPLACE", x_qs_meta_data={"b": "2"}
    )
    done("copy with other metadata", replaced, 201)
    head = bucket.head_object(ground.key("other")).headers
    same("replaced metadata", (head.get("X-QS-Meta-a"), head.get("X-QS-Meta-b")), (None, "2"))
    done("move", bucket.put_object(ground.key("moved"), x_qs_move_source=f"/{BUCKET}/{key}"), 201)
    done("the source of a move", bucket.head_object(key), 404)
    same("content of the moved", digest(read(ground.key("moved"))), digest(body))
    stale = bucket.put_object(ground.key("no"), x_qs_copy_source=f"/{BUCKET}/{ground.key('same')}", x_qs_copy_source_if_match='"0"')
    refused_with("a stale source", stale, 412, "precondition_failed")
    absent = bucket.put_object(ground.key("no"), x_qs_copy_source=f"/{BUCKET}/{key}")
    refused_with("an absent source", absent, 404, "object_not_exists")


@case
def a_large_copy_in_parts(ground):
    body, key, copy = content(PART + 9), ground.key("source"), ground.key("copy")
    put(key, body)
    upload = start(copy)
    for number, span in enumerate([f"bytes=0-{PART - 1}", f"bytes={PART}-{len(body) - 1}"]):
        answer = bucket.upload_multipart(
            copy, part_number=str(number), upload_id=upload, x_qs_copy_source=f"/{BUCKET}/{key}", x_qs_copy_range=span
        )
        done("part", answer, 201)
    done("complete", complete(copy, upload, [{"part_number": 0}, {"part_number": 1}]), 201)
    same("content", digest(read(copy)), digest(body))


@case
def many_are_deleted_at_once(ground):
    listed = [ground.key(name) for name in ODD_NAMES]
    for key in listed:
        put(key)
    answer = bucket.delete_multiple_objects(content_md5="by the SDK", objects=[{"key": key} for key in listed], quiet=False)
    same("deleted", sorted(entry["key"] for entry in done("delete", answer, 200)["deleted"]), sorted(listed))
    same("what is left", bucket.list_objects(prefix=ground.prefix)["keys"], [])
    done("an absent key", bucket.delete_object(ground.key("absent")), 204)


@case
def presigned_urls(ground):
    key = ground.key("odd + 100% 中")
    put(key)
    sign = lambda key, after=60: bucket.get_object_request(key, response_content_type="text/x-odd").sign_query(int(time.time()) + after).url
    answer = requests.get(sign(key), timeout=30)
    same("answer", (answer.status_code, answer.content, answer.headers["Content-Type"]), (200, b"hello", "text/x-odd"))
    forged = sign(key).split("?")[0] + "?" + sign(ground.key("other")).split("?")[1]
    same("the signature of another key", requests.get(forged, timeout=30).status_code, 401)
    true("an expired one is refused", requests.get(sign(key, -30), timeout=30).status_code in (401, 403))


@case
def wrong_keys_are_refused(ground):
    wrong = bucket_of(server, secret="another")
    refused_with("a wrong secret", wrong.get_object("x"), 401, "signature_not_matched")
    refused_with("a wrong secret", wrong.put_object("x", body=b"x"), 401, "signature_not_matched")
    refused_with("an unknown key", bucket_of(server, key_id="nobody").list_objects(), 401, "invalid_access_key_id")
    refused_with("another bucket", bucket_of(server, name="another-bucket").list_objects(), 404, "bucket_not_exists")


@case
def the_bucket_in_the_host_name(ground):
    key = ground.key("a b+中")
    with every_name_is_here():
        virtual = bucket_of(server, zone="pek3a", host="qingstor.com")
        done("PUT", virtual.put_object(key, body=b"hello"), 201)
        same("content", done("GET", virtual.get_object(key), 200).content, b"hello")
        same("keys", keys(done("list", virtual.list_objects(prefix=ground.prefix), 200)), [key])
    same("content by path", read(key), b"hello")


@case
def the_bucket_is_there(ground):
    done("HEAD", bucket.head(), 200)
    done("HEAD of another", bucket_of(server, name="another-bucket").head(), 404)


@case
def objects_in_a_folder_outlive_the_mock(ground):
    body, key = content(PART + 3), ground.key("file")
    for again in [False, True]:
        with Mock("qingstor", BUCKET, folder=ground.path("bucket")) as mock:
            own = bucket_of(mock)
            if not again:
                with open(ground.file("file", body), "rb") as file:
                    UploadClient(own, PART).upload(key, file)
            same("content", digest(done("GET", own.get_object(key), 200).content), digest(body))


if __name__ == "__main__":
    with Mock("qingstor", BUCKET) as server:
        bucket = bucket_of(server)
        sys.exit(run("qingstor_sdk") > 0)
