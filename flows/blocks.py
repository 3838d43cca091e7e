"""Credentials as Prefect blocks, registered through the `prefect.collections` entry point."""

from __future__ import annotations

from typing import Any, ClassVar

import httpx
from prefect.blocks.core import Block
from pydantic import Field, HttpUrl, SecretStr

from flows.credentials import Credential
from limiter import AimdClient, make_client_for


class NotionCredentials(Block):
    """The token of a Notion integration.

    Example:
        >>> NotionCredentials(token="ntn_1")
        NotionCredentials(token=SecretStr('**********'))
    """

    _block_type_name: ClassVar[str] = "Notion Credentials"
    _block_type_slug: ClassVar[str] = "notion-credentials"
    _description: ClassVar[str] = "The token of a Notion integration, for collecting evidence at the learned rate."
    _documentation_url = HttpUrl("https://developers.notion.com/docs/authorization")

    token: SecretStr = Field(description="Internal integration secret or OAuth access token (Notion: Integrations).")

    def get_client(self, **kwargs: Any) -> AimdClient:
        """A client that sends this token at the rate that was learned for Notion.

        Args:
            **kwargs: As for `limiter.make_client_for`.

        Raises:
            ConfigurationError: The token cannot be one.
        """
        credential = Credential(self.token.get_secret_value().strip(), "the block")
        headers = httpx.Headers(kwargs.pop("headers", None))
        headers.update(credential.headers)
        return make_client_for("notion", headers=headers, **kwargs)
