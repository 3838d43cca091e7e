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
