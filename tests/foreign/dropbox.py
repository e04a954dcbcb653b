"""The Dropbox Python SDK against the emulator: upload, sessions, batches, list, download, move, delete, and
the consent flow with PKCE. Through the proxy the services have their real names; without it every host
is the one address."""
import json
import os
import urllib.request

facts = json.loads(os.environ["CLOUD"])
if "HTTPS_PROXY" not in os.environ:
    host = "localhost:" + facts["tls"].rsplit(":", 1)[1]
    for name in ("API", "API_CONTENT", "API_NOTIFY", "WEB"):
        os.environ[f"DROPBOX_{name}_HOST"] = host

import dropbox  # noqa: E402
from dropbox import files  # noqa: E402
from dropbox.exceptions import ApiError, AuthError  # noqa: E402

control = "http://" + facts["control"]


def ask(path, body=None, method=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(control + path, data=data, method=method)
    return json.load(urllib.request.urlopen(request))


def connect():
    client = facts["clients"]["dropbox"]
    token = client["token"]
    return dropbox.Dropbox(
        oauth2_access_token=token["access_token"],
        oauth2_refresh_token=token["refresh_token"],
        app_key=client["id"],
        app_secret=client["secret"],
        max_retries_on_error=0,
    )


def refused(action, check):
    try:
        action()
    except ApiError as error:
        assert check(error.error), error
    else:
        raise AssertionError("it was not refused")


def content_hash(data):
    import hashlib

    blocks = [data[place : place + (4 << 20)] for place in range(0, len(data), 4 << 20)]
    return hashlib.sha256(b"".join(hashlib.sha256(block).digest() for block in blocks)).hexdigest()


def single(dbx):
    data = os.urandom(10240)
    stored = dbx.files_upload(data, "/SDK/Ünï ☃ 😀/ten.bin", content_hash=content_hash(data))
    assert stored.content_hash == content_hash(data) and stored.size == len(data)
    assert dbx.files_get_metadata("/sdk/ünï ☃ 😀/TEN.bin").id == stored.id
    result, response = dbx.files_download(stored.id)
    assert response.content == data and result.rev == stored.rev
    result, response = dbx.files_download("rev:" + stored.rev)
    assert response.content == data
    dbx.files_upload(b"", "/SDK/empty")
    again = dbx.files_upload(data, "/SDK/Ünï ☃ 😀/ten.bin")
    assert again.rev == stored.rev, "identical content is no change"
    refused(
        lambda: dbx.files_upload(b"other", stored.path_display),
        lambda error: error.is_path() and error.get_path().reason.get_conflict().is_file(),
    )
    mode = files.WriteMode.update(stored.rev)
    newer = dbx.files_upload(b"other", stored.path_display, mode=mode)
    assert newer.rev != stored.rev
    refused(
        lambda: dbx.files_upload(b"x", "/SDK/wrong", content_hash="0" * 64),
        lambda error: error.is_content_hash_mismatch(),
    )
    revisions = dbx.files_list_revisions(stored.path_display)
    assert [entry.rev for entry in revisions.entries] == [newer.rev, stored.rev]
    restored = dbx.files_restore(stored.path_display, stored.rev)
    assert restored.content_hash == stored.content_hash
    link = dbx.files_get_temporary_link(stored.path_display)
    assert urllib_get(link.link) == data


def urllib_get(url):
    import ssl

    context = ssl.create_default_context(cafile=os.environ["REQUESTS_CA_BUNDLE"])
    return urllib.request.urlopen(url, context=context).read()


def sessions(dbx):
    data = os.urandom((10 << 20) + 17)
    start = dbx.files_upload_session_start(data[: 4 << 20])
    cursor = files.UploadSessionCursor(start.session_id, 4 << 20)
    dbx.files_upload_session_append_v2(data[4 << 20 : 8 << 20], cursor)
    wrong = files.UploadSessionCursor(start.session_id, 4 << 20)
    refused(
        lambda: dbx.files_upload_session_append_v2(b"again", wrong),
        lambda error: error.get_incorrect_offset().correct_offset == 8 << 20,
    )
    cursor = files.UploadSessionCursor(start.session_id, 8 << 20)
    stored = dbx.files_upload_session_finish(
        data[8 << 20 :], cursor, files.CommitInfo("/SDK/session.bin")
    )
    assert stored.content_hash == content_hash(data)

    ids = dbx.files_upload_session_start_batch(
        1, session_type=files.UploadSessionType.concurrent
    ).session_ids
    for offset, close in ((4 << 20, False), (0, False), (8 << 20, True)):
        cursor = files.UploadSessionCursor(ids[0], offset)
        end = len(data) if close else offset + (4 << 20)
        dbx.files_upload_session_append_v2(data[offset:end], cursor, close=close)
    cursor = files.UploadSessionCursor(ids[0], len(data))
    entry = files.UploadSessionFinishArg(cursor, files.CommitInfo("/SDK/parallel.bin"))
    batch = dbx.files_upload_session_finish_batch_v2([entry])
    assert batch.entries[0].get_success().content_hash == content_hash(data)

    entries = []
    for number in range(5):
        start = dbx.files_upload_session_start(b"%d" % number, close=number != 3)
        cursor = files.UploadSessionCursor(start.session_id, 1)
        commit = files.CommitInfo(f"/SDK/batch/{number}")
        entries.append(files.UploadSessionFinishArg(cursor, commit))
    results = dbx.files_upload_session_finish_batch_v2(entries).entries
    assert [entry.is_success() for entry in results] == [True, True, True, False, True]
    assert results[3].get_failure().get_lookup_failed().is_not_closed()


def folders(dbx):
    dbx.files_create_folder_v2("/SDK/made")
    refused(
        lambda: dbx.files_create_folder_v2("/SDK/MADE"),
        lambda error: error.get_path().get_conflict().is_folder(),
    )
    page = dbx.files_list_folder("/SDK", recursive=True, limit=3)
    seen = list(page.entries)
    while page.has_more:
        page = dbx.files_list_folder_continue(page.cursor)
        seen.extend(page.entries)
    assert len(seen) == 12, [entry.path_display for entry in seen]
    moved = dbx.files_move_v2("/SDK/batch", "/SDK/Moved").metadata
    assert moved.path_display == "/SDK/Moved"
    copied = dbx.files_copy_v2("/SDK/Moved/0", "/SDK/made/zero").metadata
    assert copied.size == 1
    changes = dbx.files_list_folder_continue(page.cursor).entries
    assert any(isinstance(entry, files.DeletedMetadata) for entry in changes)
    latest = dbx.files_list_folder_get_latest_cursor("/SDK", recursive=True).cursor
    dbx.files_upload(b"new", "/SDK/new")
    assert dbx.files_list_folder_longpoll(latest, timeout=30).changes
    job = dbx.files_delete_batch([files.DeleteArg("/SDK/new"), files.DeleteArg("/SDK/none")])
    job = job.get_async_job_id()
    assert dbx.files_delete_batch_check(job).is_in_progress()
    ask("/clock", {"advance_ms": 1000})
    result = dbx.files_delete_batch_check(job).get_complete().entries
    assert result[0].is_success()
    assert result[1].get_failure().get_path_lookup().is_not_found()
    job = dbx.files_move_batch_v2([files.RelocationPath("/SDK/made", "/SDK/made2")])
    ask("/clock", {"advance_ms": 1000})
    result = dbx.files_move_batch_check_v2(job.get_async_job_id()).get_complete().entries
    assert result[0].get_success().path_display == "/SDK/made2"
    assert dbx.files_delete_v2("/SDK").metadata.name == "SDK"
    refused(
        lambda: dbx.files_get_metadata("/SDK"),
        lambda error: error.get_path().is_not_found(),
    )
    gone = dbx.files_get_metadata("/SDK", include_deleted=True)
    assert isinstance(gone, files.DeletedMetadata)


def account(dbx):
    assert dbx.users_get_current_account().email_verified
    assert dbx.users_get_space_usage().allocation.is_individual()
    ask("/token/expire?service=dropbox", method="POST")
    before = ask("/token/refreshes?service=dropbox")["refreshes"]
    try:
        dbx.users_get_space_usage()
    except AuthError as error:
        assert error.error.is_expired_access_token(), error
        dbx.refresh_access_token()
    dbx.users_get_space_usage()
    assert ask("/token/refreshes?service=dropbox")["refreshes"] == before + 1


def consent():
    client = facts["clients"]["dropbox"]
    flow = dropbox.DropboxOAuth2FlowNoRedirect(
        client["id"], use_pkce=True, token_access_type="offline"
    )
    page = urllib_get(flow.start()).decode()
    code = page.split("<code>")[1].split("</code>")[0]
    result = flow.finish(code)
    assert result.refresh_token
    dbx = dropbox.Dropbox(oauth2_refresh_token=result.refresh_token, app_key=client["id"])
    dbx.users_get_space_usage()
    dbx.auth_token_revoke()


client = connect()
for step in (single, sessions, folders, account):
    step(client)
consent()
