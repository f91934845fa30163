"""Render a run's report: an HTML page, a model card and contact sheets.

The page is self-contained. All functions are pure, without I/O.

`run`, `networks` and `search` make a page each, of the parts in `scores`, `class_tables`, `curves` and `page_charts`; `comparison_text` is
plain text. `page_charts` draws SVG for pages, `png_figures` PNG for MLflow and the store: confusion matrices, and the worst mistakes, which
`statistics.mistakes` chooses. A page's own confusion matrix is an HTML table: `class_tables` and `matrix.html.j2`. `style` has colours and
fonts of both.
"""
