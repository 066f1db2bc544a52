"""A server with access keys, used by boto3 and the AWS CLI: with the right key, and with wrong ones."""

import datetime
import hashlib
import os
import subprocess
import sys
import urllib.parse

import boto3
import botocore.auth
import botocore.awsrequest
import botocore.config
import botocore.credentials
import botocore.exceptions
import pytest
import urllib3

from conftest import REGION, Server, table_definition

KEY_ID = "AKIDEXAMPLE"
SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
TOKEN = "IQoJb3JpZ2luX2VjE/session+token=="
CREDENTIALS = f"""\
[default]
aws_access_key_id = {KEY_ID}
aws_secret_access_key = {SECRET}

[temporary]
aws_access_key_id = ASIAEXAMPLE
aws_secret_access_key = other/secret
aws_session_token = {TOKEN}
"""


@pytest.fixture(scope="module")
def credentials_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("credentials") / "credentials"
    path.write_text(CREDENTIALS)
    path.chmod(0o600)
    return path


@pytest.fixture(scope="module")
def guarded(tmp_path_factory, credentials_file):
    with Server(tmp_path_factory.mktemp("data"), "--credentials-file", str(credentials_file)) as server:
        yield server


def client(server, key_id=KEY_ID, secret=SECRET, token=None, region=REGION):
    return boto3.client(
        "dynamodb",
        endpoint_url=server.url,
        region_name=region,
        aws_access_key_id=key_id,
        aws_secret_access_key=secret,
        aws_session_token=token,
        config=botocore.config.Config(retries={"total_max_attempts": 1}),
    )


def refusal(call, **parameters):
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        call(**parameters)
    error = caught.value.response
    assert error["ResponseMetadata"]["HTTPStatusCode"] == 400
    return error["Error"]["Code"], error["Error"]["Message"]


def test_boto3_works_with_the_right_key(guarded):
    dynamodb = client(guarded)
    dynamodb.create_table(**table_definition("songs", "artist:S year:N"))
    # Texts whose bytes differ from what a careless hash would see.
    item = {"artist": {"S": "Motörhead  \u2028 😀"}, "year": {"N": "1977"}, "blob": {"B": bytes(range(256))}}
    dynamodb.put_item(TableName="songs", Item=item)
    key = {name: item[name] for name in ("artist", "year")}
    assert client(guarded, "ASIAEXAMPLE", "other/secret", TOKEN).get_item(TableName="songs", Key=key)["Item"] == item
    dynamodb.delete_table(TableName="songs")


def test_wrong_credentials_get_the_errors_of_aws(guarded):
    code, message = refusal(client(guarded, secret=SECRET.lower()).list_tables)
    assert code == "InvalidSignatureException"
    assert message.startswith(
        "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access "
        "Key and signing method. Consult the service documentation for details."
    )
    unknown = ("UnrecognizedClientException", "The security token included in the request is invalid.")
    assert refusal(client(guarded, key_id="AKIDOTHER").list_tables) == unknown
    wrong_token = ("UnrecognizedClientException", "The security token included in the request is invalid")
    assert refusal(client(guarded, "ASIAEXAMPLE", "other/secret").list_tables) == wrong_token
    assert refusal(client(guarded, "ASIAEXAMPLE", "other/secret", TOKEN[:-1]).list_tables) == wrong_token
    assert refusal(client(guarded, token=TOKEN).list_tables) == wrong_token
    code, message = refusal(client(guarded, region="eu-west-1").list_tables)
    assert code == "InvalidSignatureException"
    assert message == "Credential should be scoped to a valid region, not 'eu-west-1'. "


def cli(server, *arguments, **variables):
    environment = os.environ | {"AWS_ENDPOINT_URL": server.url, "AWS_DEFAULT_REGION": REGION} | variables
    command = [os.path.join(os.path.dirname(sys.executable), "aws"), "dynamodb", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)


def test_the_cli_and_the_server_share_a_file(guarded, credentials_file):
    shared = {"AWS_SHARED_CREDENTIALS_FILE": str(credentials_file)}
    without = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}
    for profile in ("default", "temporary"):
        done = cli(guarded, "list-tables", "--profile", profile, **shared, **without)
        assert done.returncode == 0, done.stderr
    done = cli(guarded, "list-tables", AWS_ACCESS_KEY_ID=KEY_ID, AWS_SECRET_ACCESS_KEY="wrong")
    assert done.returncode != 0 and "InvalidSignatureException" in done.stderr, done.stderr


class QueryAuth(botocore.auth.SigV4QueryAuth):
    """botocore's signer in the query would move the members of a JSON body there and sign an empty one."""

    def payload(self, request):
        return hashlib.sha256(b"{}").hexdigest()


def presigned(server, expires, token=None, signed_at=None, monkeypatch=None):
    """The address and headers of a ListTables whose signature is in the query."""
    headers = {"Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": "DynamoDB_20120810.ListTables"}
    request = botocore.awsrequest.AWSRequest("POST", server.url + "/", headers)
    key = ("ASIAEXAMPLE", "other/secret", token) if token else (KEY_ID, SECRET)
    credentials = botocore.credentials.Credentials(*key)
    if signed_at:
        monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda *_, **__: signed_at)
    QueryAuth(credentials, "dynamodb", REGION, expires=expires).add_auth(request)
    return request.prepare().url, headers


def post(url, headers, body=b"{}"):
    response = urllib3.request("POST", url, headers=headers, body=body, retries=False)
    return response.status, response.data.decode()


def test_presigned_addresses(guarded, monkeypatch):
    listed = (200, '{"TableNames":[]}')
    url, headers = presigned(guarded, 60)
    assert post(url, headers) == listed
    assert post(*presigned(guarded, 60, token=TOKEN)) == listed
    for changed_url, changed_headers, body in [
        (url.replace("X-Amz-Expires=60", "X-Amz-Expires=61"), headers, b"{}"),
        (url + "&a=b", headers, b"{}"),
        (url[:-1] + ("0" if url[-1] != "0" else "1"), headers, b"{}"),
        (url, headers, b"{ }"),
        (url, headers | {"X-Amz-Target": "DynamoDB_20120810.DescribeLimits"}, b"{}"),
        (url, headers | {"X-Amz-Security-Token": TOKEN}, b"{}"),
        (url, headers | {"Host": "other"}, b"{}"),
    ]:
        status, text = post(changed_url, changed_headers, body)
        assert status == 400 and "InvalidSignatureException" in text, (changed_url, text)

    hour_ago = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None) - datetime.timedelta(hours=1)
    assert post(*presigned(guarded, 7200, None, hour_ago, monkeypatch)) == listed
    status, text = post(*presigned(guarded, 60, None, hour_ago, monkeypatch))
    assert status == 400 and "Signature expired: " in text, text
    assert urllib.parse.urlsplit(url).query.startswith("X-Amz-Algorithm=AWS4-HMAC-SHA256")
