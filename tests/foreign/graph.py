"""O365, a library for Microsoft Graph, against the emulated OneDrive: small files, a session, lists,
pages, rename, move, copy, delete."""
import json
import os
import pathlib
import sys
import tempfile
import time

from O365 import Account
from O365.utils.token import BaseTokenBackend

client = json.loads(os.environ["CLOUD"])["clients"]["onedrive"]


class Given(BaseTokenBackend):
    """The emulator's token in place of what a consent page would have left behind."""

    has_data = True

    def load_token(self):
        return True

    def get_access_token(self, *, username=None):
        return {"secret": client["token"]["access_token"], "expires_on": time.time() + 3600}

    def token_is_expired(self, *, username=None):
        return False


def upload(folder, name, data):
    with tempfile.TemporaryDirectory() as room:
        path = pathlib.Path(room) / name
        path.write_bytes(data)
        item = folder.upload_file(str(path))
    assert item and item.name == name and item.size == len(data), item
    return item


def download(item):
    with tempfile.TemporaryDirectory() as room:
        assert item.download(to_path=room)
        return (pathlib.Path(room) / item.name).read_bytes()


account = Account((client["id"], client["secret"]), token_backend=Given())
drive = account.storage().get_default_drive(request_drive=True)
assert drive.drive_type == "business" and drive.quota["total"] > 0
folder = drive.get_root_folder().create_child_folder("Graph ☃")

small, large = os.urandom(10240), os.urandom(6 << 20)
for name, data in (("Ünï ☃.bin", small), ("large.bin", large)):
    item = upload(folder, name, data)
    assert download(item) == data, name
    assert drive.get_item_by_path(f"/Graph ☃/{name}").object_id == item.object_id
for number in range(5):
    upload(folder, f"{number}.txt", b"%d" % number)
names = {item.name for item in folder.get_items(batch=3)}
assert names == {"Ünï ☃.bin", "large.bin"} | {f"{number}.txt" for number in range(5)}, names

item = drive.get_item_by_path("/Graph ☃/0.txt")
assert item.update(name="renamed.txt")
inner = folder.create_child_folder("inner")
assert item.move(inner)
assert [item.name for item in inner.get_items()] == ["renamed.txt"]
copying = drive.get_item_by_path("/Graph ☃/1.txt").copy(inner, name="copied.txt")
for _ in copying.check_status(delay=0.2):
    pass
assert copying.status == "completed", copying.status
assert download(copying.get_item()) == b"1"
assert inner.delete()
assert folder.delete()
assert not list(drive.get_root_folder().get_items())
print("graph: all passed", file=sys.stderr)
