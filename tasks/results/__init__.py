"""What steps write for one another: the models of every JSON file in the store, `result.json` above all.

No model holds a time of day, so the same inputs give the same bytes. Long lists lie in files of their own; a result stays small enough for XCom.
"""
