"""Judge networks.

`statistics/` scores them, `gate/` decides whether one is promoted, `report/` shows it, and `search/` suggests trials.

Other rooms import `gate.*`, `report.class_tables`, `report.comparison_text`, `report.curves`, `report.networks`, `report.png_figures`,
`report.run`, `report.search`, `report.templating`, `search.*`, `statistics.*`.
"""
