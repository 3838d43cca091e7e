"""The hidden limits that an algorithm is judged on."""

from dataclasses import dataclass

from simulator import Policy, parse_policy


@dataclass(frozen=True)
class Case:
    """One hidden limit.

    Attributes:
        name: For the table.
        spec: For `simulator.parse_policy`.
        seconds: How long a run takes.
        steady: Whether the limit stays as it is, so that one constant rate can be the best.
    """

    name: str
    spec: str
    seconds: float = 600.0
    steady: bool = True

    def policy(self) -> Policy:
        """A new one that nobody has asked yet."""
        return parse_policy(self.spec)


CASES = (
    Case("bucket 5/s, burst 5", "token:rate=5,burst=5"),
    Case("bucket 5/s, burst 1", "token:rate=5,burst=1"),
    Case("bucket 20/s, burst 20", "token:rate=20,burst=20"),
    Case("fixed 50 per 10 s", "fixed:count=50,window=10"),
    Case("sliding 50 per 10 s", "sliding:count=50,window=10"),
    Case("5/s, then 30 s lockout", "penalty:count=5,window=1,lockout=30"),
    Case("drift 10-5-10/s", "drift:rate=10,burst=10,at=300/600,factor=0.5/1", 900.0, steady=False),
)
