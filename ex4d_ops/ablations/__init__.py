"""The paper's table of ablations, with anybody's weights: settings.py, what can be asked for; rows.py, the work."""
