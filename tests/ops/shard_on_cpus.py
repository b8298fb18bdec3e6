"""`ex4d` where accelerate takes CPUs that talk through gloo for GPUs: it shards a model over those alone.

Usage: python -m torch.distributed.run --standalone --nproc_per_node 2 -m tests.ops.shard_on_cpus train run.yaml
"""

import os
import sys

import torch
from accelerate import DistributedType
from accelerate.state import PartialState

from ex4d_ops import cli
from ex4d_ops.training import loop


def begin_sharded(*arguments) -> loop.TrainingRun:
    run = begin(*arguments)
    matrices = [weight for weight in run.model.parameters() if weight.ndim == 2]
    share = sum(weight.to_local().numel() for weight in matrices) / sum(weight.numel() for weight in matrices)
    assert share == 1 / run.accelerator.num_processes
    return run


if __name__ == "__main__":
    torch.set_num_threads(1)
    os.environ |= {"ACCELERATE_TORCH_DEVICE": "cpu", "ACCELERATE_USE_CPU": "false", "ACCELERATE_USE_FSDP": "true",
                   "FSDP_VERSION": "2", "FSDP_AUTO_WRAP_POLICY": "TRANSFORMER_BASED_WRAP"}
    PartialState._prepare_backend = lambda *_: ("gloo", DistributedType.MULTI_GPU)
    begin, loop.begin = loop.begin, begin_sharded
    sys.exit(cli.main(sys.argv[1:]))
