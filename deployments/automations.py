"""Set up what Prefect does by itself when a limiter gets into trouble, on the server of PREFECT_API_URL.

    python deployments/automations.py                                  what needs no account
    python deployments/automations.py --notify slack-webhook/team      tell a notification block that you have saved
    python deployments/automations.py --webhook https://...            tell a webhook (Slack, Mattermost, Teams, ...)

Two automations, made once and changed in place when this is run again; one that you have paused stays paused:

aimd: many backoffs in an hour  A limiter was cut back more often than one that works all hour long at its limit, so
                                somebody else uses the quota, or it has changed. Notifies; without a block or webhook
                                it only shows in the UI's event feed, which needs no account.
aimd: refused for good          A vendor said that waiting will not help (blocked, a monthly quota used up). Pauses the
                                deployment whose run met it, so that no schedule asks again until someone has acted,
                                and notifies if there is whom.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any
from uuid import UUID

import httpx
import typer
from prefect.automations import (
    AutomationCore,
    DoNothing,
    EventTrigger,
    PauseDeployment,
    Posture,
    ResourceSpecification,
    SendNotification,
)
from prefect.blocks.notifications import CustomWebhookNotificationBlock
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError
from prefect.types import SecretDict

from flows.cli.output import Exit, Json, emit, fail, friendly, table
from flows.configured_server import needed_server
from flows.events import limiter_event_name

MANY = 150
"""Backoffs in an hour. A limiter that works at its limit all the time has about 110: probing is how it knows."""
WEBHOOK_BLOCK = "aimd-webhook"
_LIMITERS = ResourceSpecification.model_validate({"prefect.resource.id": "aimd.limiter.*"})
_DEPLOYMENTS = ResourceSpecification.model_validate({"prefect.resource.id": "prefect.deployment.*"})
_EACH = {"prefect.resource.id"}


def many_backoffs(count: int = MANY, notify: UUID | None = None) -> AutomationCore:
    """The automation that fires when one limiter was cut back often within an hour.

    Args:
        count: How often.
        notify: Id of the notification block to tell; None shows it in the UI's event feed only.
    """
    subject = f"{{{{ event.resource.name }}}} was cut back {count} times within an hour"
    body = (
        "The rate is now {{ '%.3g' | format(event.payload.rate_after) }} requests/s; the vendor last objected at "
        "{{ '%.3g' | format(event.payload.ceiling) }}. Somebody else may use the same quota, or the limit has changed: "
        "aimd limiter history {{ event.resource['aimd.api'] }}"
    )
    return AutomationCore(
        name="aimd: many backoffs in an hour",
        description="A limiter is cut back more often than probing for its limit explains.",
        trigger=EventTrigger(
            expect={limiter_event_name("backoff")},
            match=_LIMITERS,
            for_each=_EACH,
            posture=Posture.Reactive,
            threshold=count,
            within=timedelta(hours=1),
        ),
        actions=[_told(notify, subject, body) if notify else DoNothing()],
    )


def refused_for_good(notify: UUID | None = None) -> AutomationCore:
    """The automation that pauses the deployment whose run met a refusal that waiting does not end.

    Args:
        notify: Id of the notification block to tell, too.
    """
    subject = "{{ event.resource.name }} was refused for good"
    body = (
        "The vendor says {{ event.payload.reason }} ({{ event.payload.status }}): waiting will not help. The "
        "deployment is paused, and what was collected is kept. Look at the account's limits or ask the vendor, then "
        "resume it."
    )
    return AutomationCore(
        name="aimd: refused for good",
        description="A vendor refuses a client for good: no schedule asks again until someone has acted.",
        trigger=EventTrigger(
            expect={limiter_event_name("terminal")},
            match=_LIMITERS,
            # A run that belongs to no deployment has nothing to pause.
            match_related=_DEPLOYMENTS,
            for_each=_EACH,
            posture=Posture.Reactive,
        ),
        actions=[
            PauseDeployment(source="inferred", deployment_id=None),
            *([_told(notify, subject, body)] if notify else []),
        ],
    )


def ensure(client: SyncPrefectClient, wanted: AutomationCore) -> str:
    """Make an automation on the server, or change the one of its name; whether it is paused stays as it is.

    Args:
        client: Of the server.
        wanted: What there should be.

    Returns:
        `made`, `changed` or `unchanged`.
    """
    found = client.read_automations_by_name(wanted.name)
    if not found:
        client.create_automation(wanted)
        return "made"
    for twice in found[1:]:  # by a script that was run twice at once
        client.delete_automation(twice.id)
    if _content(found[0]) == _content(wanted):
        return "unchanged"
    # Only where something differs: an update forgets what the trigger has counted.
    client.update_automation(found[0].id, wanted.model_copy(update={"enabled": found[0].enabled}))
    return "changed"


def set_up(client: SyncPrefectClient, *, count: int = MANY, notify: UUID | None = None) -> dict[str, str]:
    """Make or change both automations.

    Args:
        client: Of the server.
        count: Backoffs in an hour that are many.
        notify: Id of the notification block to tell.

    Returns:
        What was done, by name.
    """
    return {each.name: ensure(client, each) for each in (many_backoffs(count, notify), refused_for_good(notify))}


def notification_block(client: SyncPrefectClient, name: str) -> UUID:
    """The id of a notification block.

    Args:
        client: Of the server.
        name: `type-slug/name`, as `prefect block ls` shows it.

    Raises:
        LookupError: There is no such block, or it cannot notify; the message says so.
    """
    slug, _, document = name.partition("/")
    try:
        block = client.read_block_document_by_name(document, slug, include_secrets=False)
    except ObjectNotFound:
        raise LookupError(
            f"The Prefect server has no block {name!r}; `prefect block ls` shows those there are, as type/name."
        ) from None
    schema = block.block_schema
    if schema is None or "notify" not in schema.capabilities:
        raise LookupError(f"The block {name!r} cannot notify anyone; take one such as slack-webhook/NAME.")
    return block.id


def webhook_block(url: str) -> UUID:
    """Save a block that posts `{"text": ...}` to a webhook, with its address as a secret.

    Args:
        url: Where to post.

    Returns:
        The block's id.
    """
    block = CustomWebhookNotificationBlock(
        name="aimd",
        url="{{address}}",
        json_data={"text": "{{subject}}\n{{body}}"},
        headers=None,
        cookies=None,
        secrets=SecretDict({"address": url}),
    )
    saved = block.save(WEBHOOK_BLOCK, overwrite=True, _sync=True)  # type: ignore[call-arg]  # it is sync-compatible
    return UUID(str(saved))


def main(
    notify: Annotated[
        str | None, typer.Option(metavar="TYPE/NAME", help="A saved notification block, as slack-webhook/team.")
    ] = None,
    webhook: Annotated[
        str | None, typer.Option(metavar="URL", help="Post to this address; it is saved as a secret.")
    ] = None,
    backoffs: Annotated[int, typer.Option(min=1, help="Backoffs in an hour that are many.")] = MANY,
    as_json: Json = False,
) -> None:
    """Set up the automations on the server of PREFECT_API_URL; running it again changes them in place."""
    with friendly(as_json):
        if notify and webhook:
            fail("Give --notify or --webhook, not both; nothing was changed.", Exit.USAGE)
        if webhook and not webhook.startswith(("http://", "https://")):
            fail("--webhook takes an http or https address; nothing was changed.", Exit.USAGE)
        done = _on_server(needed_server("Setting up automations"), notify, webhook, backoffs)
        emit(done, as_json=as_json, table=lambda: table(["automation", "done"], list(done.items())))


def _on_server(address: str, notify: str | None, webhook: str | None, backoffs: int) -> dict[str, str]:
    try:
        with get_client(sync_client=True) as client:
            block = webhook_block(webhook) if webhook else notification_block(client, notify) if notify else None
            return set_up(client, count=backoffs, notify=block)
    except LookupError as error:
        fail(str(error), Exit.USAGE)
    except PrefectHTTPStatusError as error:
        fail(f"The Prefect server at {address} refused it ({error.response.status_code}).")
    except httpx.HTTPError as error:
        fail(f"The Prefect server at {address} no longer answers ({type(error).__name__}); run this again.")


def _told(block: UUID, subject: str, body: str) -> SendNotification:
    return SendNotification(block_document_id=block, subject=subject, body=body)


def _content(automation: AutomationCore) -> dict[str, Any]:
    """What an automation does, without what the server adds."""
    return AutomationCore(**automation.model_dump(include={"name", "description", "trigger", "actions"})).model_dump(
        mode="json", exclude={"enabled"}
    )


if __name__ == "__main__":
    typer.run(main)
