"""Claims of a study's runs, and who is said to live."""

from stilt.records import claims
from stilt.records.claims import Claim, new_claim

DEAD = 2**22 + 5
"""The number of no process."""


def everyone_lives(claim: Claim) -> bool:
    """Says of any claim that its holder lives."""
    return True


def nobody_lives(claim: Claim) -> bool:
    """Says of any claim that its holder is dead."""
    return False


def hold(folder, item, submission="other", bundle="bundle", *, pid=None, **fields) -> Claim:
    """Claims a run for a submission of this machine; by this process, where ``pid`` is absent."""
    claim = new_claim(item, submission, bundle)
    if pid is not None:
        fields = {"pid": pid, "birth": None, "taken": None} | fields
    claim = claim.model_copy(update=fields)
    assert claims.take(claim, folder.claim(item))
    return claim
