"""msal, Microsoft's own library for signing in, against the emulated OneDrive: a device code that its user
answers late, and an authorization code with PKCE; then a token that may only read."""
import json
import os
import urllib.request

import msal
import requests

facts = json.loads(os.environ["CLOUD"])
client = facts["clients"]["onedrive"]
authority = "https://login.microsoftonline.com/common"
# msal adds what every sign-in asks for, offline_access among it.
application = msal.PublicClientApplication(client["id"], authority=authority, instance_discovery=False)


def switch(**switches):
    body = json.dumps({"onedrive_tokens": switches}).encode()
    request = urllib.request.Request("http://" + facts["control"] + "/switches", data=body, method="POST")
    urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request).read()


def good(result):
    assert "access_token" in result and "refresh_token" in result, result
    return {"Authorization": "Bearer " + result["access_token"]}


def by_device():
    switch(device_interval_seconds=1)
    flow = application.initiate_device_flow(scopes=["Files.ReadWrite"])
    assert flow["user_code"] and flow["verification_uri"].startswith("https://"), flow
    headers = good(application.acquire_token_by_device_flow(flow))
    drive = requests.get("https://graph.microsoft.com/v1.0/me/drive", headers=headers)
    assert drive.status_code == 200, drive.text
    switch(decline=True)
    flow = application.initiate_device_flow(scopes=["Files.ReadWrite"])
    refused = application.acquire_token_by_device_flow(flow)
    assert refused["error"] == "authorization_declined", refused
    switch(decline=False)


def by_code():
    flow = application.initiate_auth_code_flow(["Files.Read"], redirect_uri="http://localhost:8400/")
    page = requests.get(flow["auth_uri"], allow_redirects=False)
    assert page.status_code == 302, page.text
    query = urllib.parse.urlparse(page.headers["Location"]).query
    answer = dict(urllib.parse.parse_qsl(query))
    headers = good(application.acquire_token_by_auth_code_flow(flow, answer))
    put = "https://graph.microsoft.com/v1.0/me/drive/root:/read-only.txt:/content"
    refused = requests.put(put, headers=headers, data=b"x")
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "accessDenied"), refused.text


by_device()
by_code()
