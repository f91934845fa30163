"""Define the models of every JSON file in the store.

Above all, the steps' `result.json`. A step's result has no timestamp, so the same inputs give the same bytes. Long lists are stored in
separate files, so that a result is small enough for XCom.
"""
