"""Where a credential comes from, and that it never shows."""

import asyncio
import traceback
from importlib.metadata import entry_points

import pytest
from pydantic import SecretStr

from flows.blocks import NotionCredentials
from flows.credential import Credential
from flows.credentials import credential_for
from flows.errors import MissingCredential
from flows.places import PLACES, Place
from flows.sources import SOURCES
from limiter import API_RATE_CONFIGS, ConfigurationError
from limiter.testing import ScriptedVendor

SECRET = "ntn_1a2b3c4d5e6f"
ODD = {
    "line break": f"{SECRET}\nX-Injected: 1",
    "carriage return": f"{SECRET}\r",
    "space": f"{SECRET} {SECRET}",
    "tab": f"{SECRET}\t{SECRET}",
    "no-break space": f"{SECRET}\u00a0",
    "typographic dash": SECRET.replace("_", "\u2013"),
    "zero width": f"{SECRET}\u200b",
    "control": f"{SECRET}\x07",
}


class TestTheEnvironment:
    def test_gives_the_token(self):
        credential = credential_for("notion", environment={"NOTION_TOKEN": SECRET})
        assert credential.headers == {"Authorization": f"Bearer {SECRET}"}

    def test_white_space_around_it_is_not_part_of_it(self):
        assert credential_for("notion", environment={"NOTION_TOKEN": f" {SECRET}\n"}).token == SECRET

    @pytest.mark.parametrize("environment", [{}, {"NOTION_TOKEN": ""}, {"NOTION_TOKEN": " \n"}])
    def test_without_it_one_sentence_names_the_variable_and_the_block(self, environment):
        with pytest.raises(MissingCredential) as caught:
            credential_for("notion", environment=environment)
        message = str(caught.value)
        assert caught.value.variable == "NOTION_TOKEN"
        assert "NOTION_TOKEN" in message
        assert "NotionCredentials" in message
        assert "Nothing was sent" in message
        assert "\n" not in message

    def test_an_api_of_ones_own_has_a_variable_of_its_name(self):
        assert credential_for("my-api", environment={"MY_API_TOKEN": "x1"}).origin == "MY_API_TOKEN"
        with pytest.raises(MissingCredential, match="MY_API_TOKEN") as caught:
            credential_for("my-api", environment={})
        assert "block" not in str(caught.value)

    def test_it_is_read_when_it_is_asked_for(self, monkeypatch):
        monkeypatch.setenv("NOTION_TOKEN", "later")
        assert credential_for("notion").token == "later"

    def test_every_name_is_of_an_api_and_every_block_is_there(self):
        assert set(PLACES) <= set(API_RATE_CONFIGS)
        assert set(SOURCES) <= set(PLACES)
        assert PLACES["notion"] == Place("NOTION_TOKEN", NotionCredentials.__name__)
        assert len({place.variable for place in PLACES.values()}) == len(PLACES)


@pytest.mark.parametrize("kind", ODD)
def test_a_token_that_cannot_be_one_is_refused_without_showing_it(kind, monkeypatch):
    # In the middle, since white space around a variable's value is not part of it.
    monkeypatch.setenv("NOTION_TOKEN", f"{ODD[kind]}end")
    with pytest.raises(ConfigurationError) as caught:
        credential_for("notion")
    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value)
    assert "NOTION_TOKEN" in str(caught.value)
    for part in (SECRET, SECRET[:6], "1a2b3c"):
        assert part not in shown


def test_an_empty_token_is_none():
    with pytest.raises(ConfigurationError, match="the block 'x'"):
        Credential("", "the block 'x'")


class TestTheFingerprint:
    def test_tells_credentials_apart_and_stays(self):
        assert Credential("a", "X").fingerprint == Credential("a", "Y").fingerprint
        assert Credential("a", "X").fingerprint != Credential("b", "X").fingerprint
        assert Credential(SECRET, "X").fingerprint == "a78d3ccf97af816b", "evidence of ten years ago has it too"

    def test_gives_nothing_away(self):
        fingerprint = Credential(SECRET, "X").fingerprint
        assert len(fingerprint) == 16
        assert fingerprint not in SECRET
        assert not any(SECRET[n : n + 4] in fingerprint for n in range(len(SECRET) - 3))
        near = Credential(SECRET[:-1] + "0", "X").fingerprint
        assert sum(a == b for a, b in zip(near, fingerprint, strict=True)) < 8, (
            "no part of it is of a part of the token"
        )


@pytest.mark.parametrize("show", [repr, str, "{}".format, "{!r}".format])
def test_it_does_not_show(show):
    assert SECRET not in show(Credential(SECRET, "X"))
    assert SECRET not in show(NotionCredentials(token=SECRET))


class TestTheBlock:
    def test_wins_over_the_environment(self, prefect_blocks, monkeypatch):
        monkeypatch.setenv("NOTION_TOKEN", "of_the_environment")
        credential = credential_for("notion", "mine")
        assert credential.token == "ntn_of_the_block"
        assert credential.origin == "the block 'mine'"

    def test_can_be_loaded_where_a_loop_runs(self, prefect_blocks):
        async def load():
            return credential_for("notion", "mine")

        assert asyncio.run(load()).token == "ntn_of_the_block"

    def test_that_is_not_there_is_named(self, prefect_blocks):
        with pytest.raises(ConfigurationError, match=r"no NotionCredentials block 'other'.*NOTION_TOKEN"):
            credential_for("notion", "other")

    def test_that_cannot_be_read_does_not_show_what_is_in_it(self, prefect_blocks):
        with pytest.raises(ConfigurationError, match=r"no NotionCredentials block 'misshapen'") as caught:
            credential_for("notion", "misshapen")
        assert "ntn_misshapen" not in "".join(traceback.format_exception(caught.value))

    def test_without_a_token_is_no_credential(self, prefect_blocks):
        with pytest.raises(ConfigurationError, match="the block 'empty'"):
            credential_for("notion", "empty")

    def test_there_is_none_for_other_apis(self):
        with pytest.raises(ConfigurationError, match="no type of block for the credential of acme"):
            credential_for("acme", "mine")

    def test_makes_a_client_that_sends_the_token_and_is_limited(self, clock, store):
        vendor = ScriptedVendor([200, 200], clock)
        block = NotionCredentials(token=f"{SECRET}\n")
        options = {"store": store, "transport": vendor.transport, "sleep": clock.sleep}
        with block.get_client(headers={"X-More": "1"}, tenant="acme", **options) as client:
            client.get("/users")
            client.get("/users")
        first = vendor.requests[0]
        assert first.headers["Authorization"] == f"Bearer {SECRET}"
        assert first.headers["Notion-Version"] == "2025-09-03"
        assert first.headers["X-More"] == "1"
        assert vendor.times == [0.0, 0.5], "at two requests a second"
        assert str(client.limiter.bucket) == "notion/default/acme"

    def test_with_a_token_that_cannot_be_one_makes_no_client(self, store):
        with pytest.raises(ConfigurationError) as caught:
            NotionCredentials(token=SecretStr(f"{SECRET}\nX: 1")).get_client(store=store)
        assert SECRET not in "".join(traceback.format_exception(caught.value))

    def test_prefect_finds_it(self):
        [entry] = entry_points(group="prefect.collections", name="prefect_aimd")
        assert entry.load().NotionCredentials is NotionCredentials
        assert NotionCredentials.get_block_type_slug() == "notion-credentials"
