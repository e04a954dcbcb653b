"""The ORAS SDK against a registry: what Wharf published, byte for byte, and an image of its own.

    registry.py pull HOST/REPO:TAG FILE        the one layer into FILE
    registry.py push HOST/REPO:TAG FILE CONFIG FILE as `application/wasm`, with that configuration"""
import sys

from oras.provider import Registry

action, target, file, *rest = sys.argv[1:]
registry = Registry(hostname=target.split("/")[0], insecure=True)
container = registry.get_container(target)
if action == "pull":
    manifest = registry.get_manifest(container)
    (layer,) = manifest["layers"]
    assert layer["mediaType"] == "application/wasm", layer
    assert manifest["config"]["mediaType"] == "application/vnd.wasm.config.v0+json", manifest
    registry.download_blob(container, layer["digest"], file)
else:
    config = f"{rest[0]}:application/vnd.wasm.config.v0+json"
    registry.push(
        target,
        files=[f"{file}:application/wasm"],
        manifest_config=config,
        disable_path_validation=True,
        quiet=True,
    )
