import pytest

from analysis.stats.scope import HEADS, SCOPES, generalises, meaning


@pytest.mark.parametrize("scope", SCOPES)
def test_the_words_in_heads_are_explained(scope):
    assert f"'{HEADS[scope]}'" in meaning(scope)


def test_what_is_fixed_is_named():
    assert "for this source checkpoint" in generalises("whole")
    assert "checkpoint" not in generalises("whole", 3)
    assert "source seeds" in generalises("whole", 3)
    for seeds in (1, 3):
        assert "for these dev examples and source checkpoints" in generalises("narrow", seeds)
