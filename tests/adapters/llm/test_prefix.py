"""Suffixes against a prefix that was read once are what reading everything would give."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from adapters.llm.backbone import Backbone
from adapters.llm.prefix import CachedDialogue, Prefix, suffix_mask, suffix_positions
from tests.support.tiny import ARCHITECTURES, WIDTH, write_backbone

IDS = torch.arange(1, 12)


@pytest.fixture(scope="module", params=ARCHITECTURES)
def backbone(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Backbone:
    folder = write_backbone(tmp_path_factory.mktemp("llm"), request.param)
    return Backbone.load(folder, [1, 3], device="cpu", dtype="float32")


def test_a_prefix_gives_the_states_that_reading_gives(backbone: Backbone) -> None:
    prefix, states = backbone.prefix(IDS)
    assert prefix.length == len(IDS)
    assert prefix.bytes > 0
    torch.testing.assert_close(states, backbone.states(IDS))


def test_suffixes_are_what_the_whole_text_gives(backbone: Backbone) -> None:
    """Each against its own part of the dialogue, whatever else stands beside it."""
    prefix, _ = backbone.prefix(IDS)
    ends, asked = torch.tensor([4, 11, 7]), torch.tensor([[20, 21, 22], [30, 31, 32], [40, 41, 42]])
    states = backbone.suffixes(prefix, torch.stack([backbone.embed(row) for row in asked]), ends)
    assert states.shape == (2, 3, 3, WIDTH)
    for index, end in enumerate(ends.tolist()):
        whole = backbone.states(torch.cat([IDS[:end], asked[index]]))
        torch.testing.assert_close(states[:, index], whole[:, end:], atol=1e-5, rtol=1e-4)


def test_a_text_read_in_parts_has_the_states_of_the_whole(backbone: Backbone) -> None:
    whole = backbone.states(IDS)
    first, begun = backbone.prefix(IDS[:4])
    both, ended = backbone.prefix(IDS[4:], after=first)
    assert (first.length, both.length) == (4, len(IDS))
    torch.testing.assert_close(torch.cat([begun, ended], dim=1), whole, atol=1e-5, rtol=1e-4)
    _, again = backbone.prefix(IDS[2:], after=both.first(2))
    torch.testing.assert_close(again, whole[:, 2:], atol=1e-5, rtol=1e-4)


def test_attention_of_the_last_position_is_all_on_its_own_past(backbone: Backbone) -> None:
    prefix, _ = backbone.prefix(IDS)
    ends, asked = torch.tensor([4, 11]), torch.randn(2, 3, WIDTH, generator=torch.Generator().manual_seed(0))
    before = backbone.suffixes(prefix, asked, ends)
    shares = backbone.attention(prefix, asked, ends)
    assert shares.shape == (3, 2, len(IDS) + 6)
    torch.testing.assert_close(shares.sum(-1), torch.ones(3, 2))
    assert shares[:, 0, 4:11].abs().max() == 0  # what the dialogue holds after its turn
    assert shares[:, 0, 14:].abs().max() == shares[:, 1, 11:14].abs().max() == 0  # each other
    assert shares[1, 1, :11].min() > 0  # in a layer that sees all of it
    assert backbone.suffixes(prefix, asked, ends).equal(before)


@given(st.lists(st.integers(0, 2), max_size=6), st.lists(st.integers(0, 2), max_size=6))
def test_a_reading_knows_how_far_it_goes_along_with_another_text(read, other):
    shared = CachedDialogue(torch.tensor(read, dtype=torch.int64), Prefix(())).shared_length(
        torch.tensor(other, dtype=torch.int64)
    )
    assert read[:shared] == other[:shared]
    assert shared == min(len(read), len(other)) or read[shared] != other[shared]


def test_a_prefix_is_not_used_up(backbone: Backbone) -> None:
    prefix, _ = backbone.prefix(IDS)
    embeds = torch.randn(1, 2, WIDTH, generator=torch.Generator().manual_seed(0))
    first, again = (backbone.suffixes(prefix, embeds, torch.tensor([11])) for _ in range(2))
    torch.testing.assert_close(first, again)
    assert prefix.length == len(IDS)


def test_gradients_reach_the_suffix_and_nothing_else(backbone: Backbone) -> None:
    before = backbone.weights_digest
    prefix, _ = backbone.prefix(IDS)
    embeds = torch.zeros(2, 3, WIDTH, requires_grad=True)
    backbone.suffixes(prefix, embeds, torch.tensor([5, 9])).sum().backward()
    assert embeds.grad is not None
    assert torch.isfinite(embeds.grad).all()
    assert not any(part.requires_grad for layer in prefix.layers for part in layer)
    assert backbone.weights_digest == before


@given(st.lists(st.integers(1, 9), min_size=1, max_size=4), st.integers(1, 4))
def test_no_suffix_sees_another_or_what_comes_later(ends, positions):
    seen = suffix_mask(9, torch.tensor(ends), positions)
    assert seen.shape == (len(ends) * positions, 9 + len(ends) * positions)
    for row in range(len(seen)):
        suffix, place = divmod(row, positions)
        visible = set(torch.nonzero(seen[row])[:, 0].tolist())
        own = {9 + suffix * positions + step for step in range(place + 1)}
        assert visible == set(range(ends[suffix])) | own
    assert suffix_positions(torch.tensor(ends), positions).tolist() == [
        end + step for end in ends for step in range(positions)
    ]
