"""The hidden limits of one simulator: a policy for each bucket that requests are counted for."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from simulator.policies import Unlimited, parse_policy
from simulator.vendor import Bucket, Vendor
from simulator.verdict import Policy, Verdict

DOCUMENTED = "documented"
"""The spec that stands for the limits a vendor documents."""


@dataclass(frozen=True, slots=True)
class Admission:
    """The answer of all limits to one request.

    Attributes:
        verdict: Whether it is admitted.
        bucket: Which limit refused it; None if none did.
        held: The policies to tell when it is finished.
    """

    verdict: Verdict
    bucket: Bucket | None
    held: tuple[Policy, ...]

    def release(self, now: float) -> None:
        """Tell the policies that the request is finished at `now` (seconds)."""
        for policy in self.held:
            policy.release(now)


class Limits:
    """Chooses and keeps the policies. Belongs to one event loop; not locked.

    A spec gives each bucket a policy of its own, as the vendor does: each Slack method, each Airtable base. A policy
    *object* is one limit for all of them.

    Args:
        vendor: Whose buckets they are.
        policy: The limit, its spec, or `documented`.
        overrides: Limits by family, which win over everything else.

    Raises:
        ValueError: If a spec is bad or a family unknown.
    """

    def __init__(self, vendor: Vendor, policy: Policy | str, overrides: Mapping[str, Policy | str]) -> None:
        self._vendor = vendor
        known = {*vendor.documented, *vendor.always}
        for family, limit in overrides.items():
            if family not in known:
                raise ValueError(f"{vendor.title} has no limit {family!r}; known: {', '.join(sorted(known))}")
            _policy(limit)
        self._overrides = dict(overrides)
        self._made: dict[Bucket, Policy] = {}
        self.rejections: Counter[str] = Counter()
        """How many requests each bucket refused."""
        self.set(policy)

    def set(self, policy: Policy | str) -> None:
        """Change the limit from the next request on; overrides and `always` stay.

        Raises:
            ValueError: If the spec is bad.
        """
        if policy == DOCUMENTED:
            main = [spec for family, spec in self._vendor.documented.items() if family not in self._vendor.extra]
            self.general: Policy = parse_policy(main[0] if main else "none")  # only to be shown
        else:
            self.general = _policy(policy)
        self._source = policy
        self._first = True
        kept = {*self._vendor.always, *self._overrides}
        self._made = {bucket: made for bucket, made in self._made.items() if bucket.family in kept}

    def __str__(self) -> str:
        """Return the spec."""
        return DOCUMENTED if self._source == DOCUMENTED else str(self.general)

    def of(self, bucket: Bucket) -> Policy:
        """Return the policy of a bucket."""
        if (made := self._made.get(bucket)) is None:
            made = self._made[bucket] = self._make(bucket)
        return made

    def admit(self, buckets: Sequence[Bucket], now: float) -> Admission:
        """Count a request for its buckets, in order, until one refuses it at `now` (seconds)."""
        held: list[Policy] = []
        for bucket in buckets:
            policy = self.of(bucket)
            verdict = policy.admit(now)
            if not verdict.allowed:
                for each in held:
                    each.release(now)
                self.rejections[str(bucket)] += 1
                return Admission(verdict, bucket, ())
            held.append(policy)
        return Admission(Verdict(True, 0.0), None, tuple(held))

    def _make(self, bucket: Bucket) -> Policy:
        family = bucket.family
        if family in self._overrides:
            return _policy(self._overrides[family])
        if family in self._vendor.always:
            return parse_policy(self._vendor.always[family])
        if self._source == DOCUMENTED:
            return parse_policy(self._vendor.documented.get(family, "none"))
        if family in self._vendor.extra:
            return Unlimited()
        if isinstance(self._source, str) and not self._first:
            return parse_policy(self._source)
        self._first = False  # the first bucket has the policy that the simulator shows
        return self.general


def _policy(policy: Policy | str) -> Policy:
    return parse_policy(policy) if isinstance(policy, str) else policy
