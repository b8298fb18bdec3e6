"""What every node owes the person in front of it: words for each input, units, names it can be found by."""

import re
from collections.abc import Iterator

UNITS = re.compile(r"degree|pixel|px\b|frame|meter|scene unit|radius|share|percent|turns|0\.\.1", re.IGNORECASE)
UNITLESS = re.compile(r"\bnumber of|\bseed\b|\bscale\b|\bfactor\b|\brank\b|\brate\b", re.IGNORECASE)


def every_input(inputs: list, choices, path: str = "") -> Iterator[tuple[str, object]]:
    """All inputs with where they stand, those of dynamic combos too."""
    for widget in inputs:
        here = f"{path}.{widget.id}" if path else widget.id
        yield here, widget
        for key, inner in choices(widget).items():
            yield from every_input(inner, choices, f"{here}[{key}]")


def test_every_input_and_output_has_a_tooltip(nodes, choices):
    missing = [f"{node}: {name}" for node, cls in nodes.by_id.items()
               for name, widget in every_input(cls.define_schema().inputs, choices) if not widget.tooltip]
    missing += [f"{node}: output {output.display_name or output.id}" for node, cls in nodes.by_id.items()
                for output in cls.define_schema().outputs if not output.tooltip]
    assert not missing


def test_every_number_names_its_unit_or_is_a_count_a_seed_or_a_factor(nodes, choices):
    missing = [f"{node}: {name}: {widget.tooltip}" for node, cls in nodes.by_id.items()
               for name, widget in every_input(cls.define_schema().inputs, choices)
               if widget.io_type in ("INT", "FLOAT")
               and not (UNITS.search(widget.tooltip) or UNITLESS.search(widget.tooltip))]
    assert not missing


def test_nodes_are_found_by_name_category_and_alias(nodes):
    for node, cls in nodes.by_id.items():
        schema = cls.define_schema()
        assert schema.category.startswith("EX-4D/"), node
        assert schema.display_name.endswith("(EX-4D)") and schema.description, node
        assert len(schema.search_aliases) >= 2, node


SOUGHT = {
    "new view": "RenderDWMesh", "side view": "RenderDWMesh", "viewpoint": "RenderDWMesh", "reshoot": "RenderDWMesh",
    "recamera": "RenderDWMesh", "4d": "RenderDWMesh", "parallax": "EstimateVideoDepth", "180": "CameraTrajectory",
    "dolly zoom": "CameraTrajectory", "bullet time": "EX4DComposeCameras",
}


def test_what_people_look_for_leads_to_the_node_that_does_it(nodes):
    for words, node in SOUGHT.items():
        assert words in nodes.by_id[node].define_schema().search_aliases, words


def test_ids_are_those_that_saved_workflows_name(nodes):
    named = {"BuildDWMesh", "CameraTrajectory", "EstimateVideoDepth", "RenderDWMesh", "ApplyEX4DLoRA"}
    assert set(nodes.by_id) >= named
    assert all(node.startswith("EX4D") for node in set(nodes.by_id) - named)
