"""``langcache bench``: a ladder of paths is measured, judged, compared with a baseline and drawn."""
