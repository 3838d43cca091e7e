"""Which repositories let anyone push to their main branch, or administrators past its rules? SOC 2 CC8.1.

A script with threads: one client, which is thread-safe as every `httpx.Client`, asks for the protection of each branch;
however many threads, they stay under one rate. A 404 that says "Branch not protected" is an answer here, and every
other refusal an error.

Needs GITHUB_TOKEN, and the login of an organization as its argument. To try it without an account:

    aimd simulator --api github --port 8080
    GITHUB_TOKEN=secret_simulator AIMD_GITHUB_BASE_URL=http://127.0.0.1:8080 python examples/github.py example-org
"""

import argparse
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx

from flows.credentials import client_options_for
from flows.pages import iterate
from limiter import ConfigurationError, make_client_for


def finding(client: httpx.Client, repository: dict[str, Any]) -> str:
    """What is wrong with the protection of a repository's default branch; `""` if nothing is."""
    path = f"/repos/{repository['full_name']}/branches/{repository['default_branch']}/protection"
    answer = client.get(path)
    if answer.status_code == 404 and "Branch not protected" in answer.text:
        return "not protected"
    protection = answer.raise_for_status().json()
    if not protection.get("required_pull_request_reviews"):
        return "no review required"
    return "" if protection["enforce_admins"]["enabled"] else "administrators may bypass it"


def main(organization: str) -> int:
    """Print what was found, and what was learned."""
    try:
        options = client_options_for("github")
    except ConfigurationError as error:
        print(error, file=sys.stderr)
        return 2
    listed = iterate("github", "GET", f"/orgs/{organization}/repos", records="", params={"per_page": 100})
    repositories = [each for each in listed if not each["archived"]]
    with make_client_for("github", **options) as client:
        with ThreadPoolExecutor(8) as pool:
            findings = list(pool.map(lambda each: finding(client, each), repositories))
        learned = client.limiter.snapshot()
    for repository, found in zip(repositories, findings, strict=True):
        if found:
            print(f"{repository['full_name']}: {found}")
    print(f"{len(repositories)} repositories, {sum(map(bool, findings))} with a finding")
    print(
        f"{learned['requests']} requests, {learned['throttled']} throttled, now {learned['current_rate']:.2f} a second"
    )
    return 0


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description="Which repositories let anyone push to their main branch?")
    arguments.add_argument("organization", help="login of the organization")
    sys.exit(main(arguments.parse_args().organization))
