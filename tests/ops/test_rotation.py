"""Laws of rotations: quaternions carry them, and the way between two is the shortest arc at even speed."""

import math

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ex4d_ops.rotation import quaternion_of, rotate_about, rotate_between, rotation_of

seeds = st.integers(0, 2**31 - 1)
laws = settings(deadline=None, max_examples=40)


def random_rotations(seed: int, count: int = 8) -> torch.Tensor:
    return rotation_of(torch.randn(count, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64))


def angle_between(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    difference = quaternion_of(first.mT @ second)
    return 2 * torch.atan2(difference[..., 1:].norm(dim=-1), difference[..., 0])


@laws
@given(seeds)
def test_quaternions_carry_rotations(seed):
    rotation = random_rotations(seed)
    assert torch.allclose(rotation_of(quaternion_of(rotation)), rotation, atol=1e-12)


@laws
@given(seeds, st.sampled_from("xyz"))
def test_half_turns_survive_quaternions(seed, axis):
    rotation = rotate_about(axis, torch.tensor([math.pi, -math.pi, math.pi - 1e-9], dtype=torch.float64))
    assert torch.allclose(rotation_of(quaternion_of(rotation)), rotation, atol=1e-9)


@laws
@given(seeds)
def test_rotations_keep_lengths_and_handedness(seed):
    rotation = random_rotations(seed)
    assert torch.allclose(rotation @ rotation.mT, torch.eye(3, dtype=torch.float64).expand_as(rotation), atol=1e-12)
    assert torch.allclose(torch.linalg.det(rotation), torch.ones(8, dtype=torch.float64))


def test_axes_turn_right_handed():
    quarter = torch.tensor(math.pi / 2, dtype=torch.float64)
    for axis, start, end in (("x", 1, 2), ("y", 2, 0), ("z", 0, 1)):
        turned = rotate_about(axis, quarter)[:, start]
        assert torch.allclose(turned, torch.eye(3, dtype=torch.float64)[end], atol=1e-15)


@laws
@given(seeds, st.floats(0, 1))
def test_the_way_between_is_the_shortest_arc_at_even_speed(seed, weight):
    first, second = random_rotations(seed).chunk(2)
    whole = angle_between(first, second)
    part = rotate_between(first, second, torch.full((4,), weight, dtype=torch.float64))
    assert torch.allclose(angle_between(first, part), weight * whole, atol=1e-7)
    assert torch.allclose(angle_between(part, second), (1 - weight) * whole, atol=1e-7)


@laws
@given(seeds)
def test_the_way_between_equal_rotations_rests(seed):
    rotation = random_rotations(seed)
    assert torch.allclose(rotate_between(rotation, rotation, torch.linspace(0, 1, 8, dtype=torch.float64)), rotation)
