"""Define the models of every JSON file in the store, above all the steps' `result.json`.

A step's result has no timestamp, so the same inputs give the same bytes. Long lists are separate files, so that a result fits into XCom.
"""
