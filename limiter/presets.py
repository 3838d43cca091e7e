"""The APIs known from the start, and how a name becomes a configuration.

Precedence, lowest first: the preset (or what code put into `API_RATE_CONFIGS`), the file named by `AIMD_CONFIG`,
`AIMD_<API>_BASE_URL`, the arguments of the call.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from limiter.config import ApiRateConfig
from limiter.config_file import read_config_file
from limiter.errors import ConfigurationError, UnknownApi
from limiter.rate_headers import RateHeaders
from limiter.scopes import Scope

_WRITES = ("POST", "PUT", "PATCH", "DELETE")
_VANTA_TOKEN = Scope(
    name="token",
    path="/oauth/token",
    methods=("POST",),
    initial_rate=5 / 60,
    max_rate=5 / 60,
    increase_step=0.01,
    burst=5,
    documented_limit_desc="5 a minute",
    documented_rate=5 / 60,
)

# Limits as the vendors document them; what they enforce is learned. Notion: developers.notion.com/reference/
# request-limits. Vanta: developer.vanta.com. GitHub: docs.github.com/rest/overview/rate-limits-for-the-rest-api. Slack:
# docs.slack.dev/apis/web-api/rate-limits. Airtable: support.airtable.com. Zapier: help.zapier.com.
API_RATE_CONFIGS: dict[str, ApiRateConfig] = {
    config.name: config
    for config in (
        ApiRateConfig(
            name="notion",
            base_url="https://api.notion.com/v1",
            initial_rate=2.0,
            min_rate=0.05,
            max_rate=10.0,
            increase_step=0.1,
            documented_limit_desc="180 a minute per connection, 600 on larger plans",
            documented_rate=3.0,
            headers={"Notion-Version": "2025-09-03"},
            words=("public_api_request_rate_limit",),
            scopes=(
                Scope(
                    name="workspace",
                    when_named=True,
                    words=("public_api_space_request_rate_limit",),
                    initial_rate=10.0,
                    documented_limit_desc="unpublished, for all connections of a workspace",
                ),
                Scope(
                    name="endpoint-{endpoint}",
                    path="/{endpoint}*",
                    when_named=True,
                    words=("public_api_endpoint_rate_limit",),
                    documented_limit_desc="unpublished, some endpoints have one",
                ),
            ),
        ),
        ApiRateConfig(
            name="vanta",
            base_url="https://api.vanta.com",
            initial_rate=0.7,
            min_rate=0.02,
            max_rate=10.0,
            increase_step=0.05,
            documented_limit_desc="50 a minute (manage), 250 (auditor), 5 (token)",
            documented_rate=50 / 60,
            scopes=(_VANTA_TOKEN,),
        ),
        ApiRateConfig(
            name="vanta_auditor",
            base_url="https://api.vanta.com",
            initial_rate=3.5,
            min_rate=0.02,
            max_rate=10.0,
            increase_step=0.1,
            documented_limit_desc="250 a minute, 600 for the addresses of evidence",
            documented_rate=250 / 60,
            dialect="vanta",
            scopes=(
                _VANTA_TOKEN,
                Scope(
                    name="writes",
                    path="/v1/*",
                    methods=_WRITES,
                    initial_rate=0.15,
                    max_rate=10 / 60,
                    increase_step=0.01,
                    documented_limit_desc="10 a minute",
                    documented_rate=10 / 60,
                ),
                Scope(
                    name="evidence_urls",
                    path="/v1/audits/*/evidence/*/urls",
                    initial_rate=8.0,
                    documented_limit_desc="600 a minute",
                    documented_rate=10.0,
                ),
            ),
        ),
        ApiRateConfig(
            name="fieldguide",
            base_url="https://api.fieldguide.io",
            initial_rate=1.0,
            min_rate=0.05,
            max_rate=10.0,
            increase_step=0.1,
            documented_limit_desc="none published",
        ),
        ApiRateConfig(
            name="github",
            base_url="https://api.github.com",
            initial_rate=2.0,
            min_rate=0.05,
            max_rate=15.0,
            increase_step=0.1,
            documented_limit_desc="5,000 an hour; 900 points a minute; 100 in flight",
            documented_rate=15.0,
            max_concurrency=100,
            headers={"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"},
            words=("core",),
            rate_headers=RateHeaders(window=3600.0),
            scopes=(
                Scope(
                    name="writes",
                    path="/*/*",
                    methods=_WRITES,
                    beside=True,
                    initial_rate=1.0,
                    max_rate=80 / 60,
                    documented_limit_desc="80 a minute that create content",
                    documented_rate=80 / 60,
                ),
                Scope(
                    name="audit_log",
                    path="/orgs/*/audit-log",
                    words=("audit_log",),
                    documented_limit_desc="1,750 an hour",
                    documented_rate=1750 / 3600,
                ),
                Scope(
                    name="search",
                    path="/search/*",
                    words=("search", "code_search"),
                    initial_rate=0.4,
                    max_rate=1.0,
                    documented_limit_desc="30 a minute, 10 for code",
                    documented_rate=0.5,
                ),
                Scope(
                    name="graphql",
                    path="/graphql",
                    words=("graphql",),
                    documented_limit_desc="5,000 points an hour, 2,000 a minute",
                ),
            ),
        ),
        ApiRateConfig(
            name="slack",
            base_url="https://slack.com/api",
            initial_rate=0.3,
            min_rate=0.01,
            max_rate=5.0,
            increase_step=0.05,
            documented_limit_desc="per method, tiers of 1, 20, 50 and 100 a minute",
            documented_rate=20 / 60,
            scopes=(
                Scope(
                    name="{method}",
                    path="/{method}",
                    documented_limit_desc="by the method's tier: 1, 20, 50 or 100 a minute",
                ),
            ),
        ),
        ApiRateConfig(
            name="slack_audit",
            base_url="https://api.slack.com/audit/v1",
            initial_rate=0.5,
            min_rate=0.01,
            max_rate=5.0,
            increase_step=0.05,
            documented_limit_desc="50 a minute for the whole organization",
            documented_rate=50 / 60,
            dialect="slack",
        ),
        ApiRateConfig(
            name="airtable",
            base_url="https://api.airtable.com/v0",
            initial_rate=3.0,
            min_rate=0.1,
            max_rate=5.0,
            increase_step=0.1,
            documented_limit_desc="5 a second per base, then a 30 s lockout; 50 a second per user",
            documented_rate=5.0,
            scopes=(
                Scope(
                    name="user",
                    path="/app*",
                    initial_rate=10.0,
                    max_rate=50.0,
                    documented_limit_desc="50 a second, all bases together",
                    documented_rate=50.0,
                ),
                *(
                    Scope(
                        name="base-app{base}",
                        path=path,
                        documented_limit_desc="5 a second, then a 30 s lockout",
                        documented_rate=5.0,
                    )
                    for path in ("/app{base}/*", "/meta/bases/app{base}/*")
                ),
            ),
        ),
        ApiRateConfig(
            name="openai",
            base_url="https://api.openai.com/v1",
            initial_rate=1.0,
            min_rate=0.05,
            max_rate=10.0,
            increase_step=0.1,
            documented_limit_desc="unpublished for admin endpoints",
        ),
        ApiRateConfig(
            name="zapier",
            base_url="https://hooks.zapier.com",
            initial_rate=2.0,
            min_rate=0.1,
            max_rate=30.0,
            increase_step=0.2,
            documented_limit_desc="10,000 per 5 minutes per user, about 30 a second per hook",
            documented_rate=30.0,
            scopes=(
                Scope(
                    name="hook-{hook}",
                    path="/hooks/catch/{user}/{hook}*",
                    beside=True,
                    secret=True,
                    documented_limit_desc="about 30 a second",
                    documented_rate=30.0,
                ),
                Scope(
                    name="userless-hook-{hook}",
                    path="/hooks/catch/{hook}",
                    secret=True,
                    initial_rate=1.0,
                    max_rate=1000 / 300,
                    documented_limit_desc="1,000 per 5 minutes, for an address without a user",
                    documented_rate=1000 / 300,
                ),
            ),
        ),
    )
}
"""The presets by name. Add to it, or replace an entry, from code:

    API_RATE_CONFIGS["acme"] = ApiRateConfig("acme", "https://api.acme.test", initial_rate=1.0)
"""


def known_apis(environment: Mapping[str, str] = os.environ) -> dict[str, ApiRateConfig]:
    """Every API by name, with the file of `AIMD_CONFIG` and `AIMD_<API>_BASE_URL` applied.

    Raises:
        ConfigurationError: The file, or a value in it or in the environment, cannot work.
    """
    known = read_config_file(environment.get("AIMD_CONFIG", ""), API_RATE_CONFIGS)
    for name, config in known.items():
        variable = f"AIMD_{name.upper().replace('-', '_')}_BASE_URL"
        if address := environment.get(variable, "").strip():
            try:
                known[name] = config.with_changes({"base_url": address})
            except ConfigurationError as error:
                raise ConfigurationError(f"{variable}: {error}") from error
    return known


def api_config(name: str) -> ApiRateConfig:
    """The configuration of an API.

    Args:
        name: A preset, or a name from `AIMD_CONFIG` or `API_RATE_CONFIGS`.

    Raises:
        UnknownApi: No such name; the message lists those there are.
        ConfigurationError: Its configuration cannot work.

    Example:
        >>> api_config("notion").max_rate
        10.0
    """
    known = known_apis()
    if name not in known:
        names = tuple(sorted(known))
        raise UnknownApi(
            f"There is no API {name!r}. Known: {', '.join(names)}. Add it to the file that AIMD_CONFIG names, or to "
            "limiter.API_RATE_CONFIGS.",
            name=name,
            known=names,
        )
    return known[name]
