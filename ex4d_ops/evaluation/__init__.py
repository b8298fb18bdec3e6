"""Generated videos compared by what was asked for: read runs.py, measures.py, one_run.py and all_runs.py in this order.

runs.py says what is compared and where it lies; measures.py is the table of what is measured; cameras.py finds the path
that a video follows, second_opinion.py finds it another way, agreement.py compares pixels, cell.py holds what all
methods of a clip are compared with, one_run.py measures one video, all_runs.py all of them side by side, resumable at
any moment; table.py averages with intervals, page.py shows the videos beside their figures.
With weights that the user brings, networks.py looks at videos, sights.py keeps what was seen, seen.py makes figures of
it; vbench.py asks VBench, and paper.py lays all that out like the paper's tables.
methods.py, plan.py, orbits.py and workflows.py lay out the folders in which the videos of other programs are dropped;
study.py and study_page.py ask people, tally.py counts what they answer.
"""

from typing import TYPE_CHECKING

from ..lazy import import_later

if TYPE_CHECKING:
    from .all_runs import evaluate
    from .runs import Run, list_runs
else:
    __getattr__ = import_later(__name__, runs="Run list_runs", all_runs="evaluate")

__all__ = ["Run", "evaluate", "list_runs"]
