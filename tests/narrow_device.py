"""A pretended GPU that, like Apple's, has no float64: tensors that say they lie on "meta" and are computed on the CPU.

Every operation on them goes through `compute`, which refuses what that device refuses: a float64 on it, on the way to
it or from it, and a tensor of another device beside it. Inside `narrow_device()` the device can be asked for by name.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map, tree_unflatten

NARROW = torch.device("meta")  # of those a build for CPUs knows, one that no code treats differently
MOVING = {"_to_copy", "copy_", "_copy_from"}  # operations that take tensors of two devices
INDEXING = {"index", "index_put", "index_put_", "_index_put_impl_"}  # their indices may lie on the CPU


class NarrowTensor(torch.Tensor):
    """A tensor on the pretended device; `held` is where its numbers really are."""

    @staticmethod
    def __new__(cls, held: torch.Tensor):
        return torch.Tensor._make_wrapper_subclass(cls, held.shape, held.stride(), held.storage_offset(),
                                                   dtype=held.dtype, device=NARROW)

    def __init__(self, held: torch.Tensor) -> None:
        self.held = held

    def __repr__(self) -> str:
        return f"NarrowTensor({self.held})"

    # What torch does before it asks the device: it refuses the first for subclasses, and copies no numbers to "meta".
    def tolist(self) -> list:
        return self.cpu().tolist()

    def new_tensor(self, data, dtype=None, device=None) -> torch.Tensor:
        return torch.tensor(data, dtype=dtype or self.dtype).to(device or NARROW)

    def __getitem__(self, index):
        return super().__getitem__(lists_as_tensors(index))

    def __setitem__(self, index, value) -> None:
        super().__setitem__(lists_as_tensors(index), value)

    @classmethod
    def __torch_dispatch__(cls, operation, types, args=(), kwargs=None):
        return compute(operation, args, kwargs or {})


class NarrowMode(TorchDispatchMode):
    """Lets tensors be made on the pretended device."""

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        return compute(operation, args, kwargs or {})


@contextmanager
def narrow_device() -> Iterator[torch.device]:
    with NarrowMode():
        yield NARROW


def compute(operation, args: tuple, kwargs: dict):
    """Do an operation where the numbers are, and refuse what the device refuses."""
    if torch._C._dispatch_has_kernel_for_dispatch_key(operation.name(), "CompositeImplicitAutograd"):
        with NarrowMode():
            return operation.decompose(*args, **kwargs)  # into those that a device has to know
    name = operation._schema.name.split("::")[-1]
    leaves, _ = tree_flatten((args, kwargs))
    tensors = [leaf for leaf in leaves if isinstance(leaf, torch.Tensor)]
    here = [tensor for tensor in tensors if isinstance(tensor, NarrowTensor)]
    asked = kwargs.get("device")
    if not here and (asked is None or torch.device(asked).type != NARROW.type):
        return operation(*args, **kwargs)
    if name not in MOVING | INDEXING and any(
            tensor.ndim and not isinstance(tensor, NarrowTensor) for tensor in tensors):
        raise RuntimeError(f"{name}: expected all tensors to be on the same device, but found the narrow one and cpu")
    wide = kwargs.get("dtype") == torch.float64 or any(tensor.dtype == torch.float64 and tensor.ndim
                                                      for tensor in tensors)
    plain = {**tree_map(held_of, kwargs), **({} if asked is None else {"device": torch.device("cpu")})}
    result = operation(*tree_map(held_of, args), **plain)
    made, shape = tree_flatten(result)
    if wide or any(isinstance(leaf, torch.Tensor) and leaf.dtype == torch.float64 for leaf in made):
        raise TypeError(f"{name}: cannot convert a tensor of this device to float64, which it does not support")
    if operation._schema.is_mutable:
        return mutated(operation, args, kwargs, result)
    leaves_here = asked is None or torch.device(asked).type == NARROW.type
    return tree_unflatten([NarrowTensor(leaf) if isinstance(leaf, torch.Tensor) and leaves_here else leaf
                           for leaf in made], shape)


def lists_as_tensors(index):
    """An index whose lists of numbers are tensors."""
    parts = index if isinstance(index, tuple) else (index,)
    return tuple(torch.tensor(part) if isinstance(part, list) else part for part in parts)


def held_of(value):
    return value.held if isinstance(value, NarrowTensor) else value


def mutated(operation, args: tuple, kwargs: dict, result):
    """What an operation that writes into an argument gives back: that argument."""
    written = [*args[:1], *(kwargs[name] for name in ("out",) if name in kwargs)]
    return None if result is None else kwargs.get("out", written[0])
