"""How often the suite is wrong, found out by making it wrong or by knowing the truth.

`coverage` simulates how often an interval holds the truth; `mutants` breaks the code in ways that matter
and has the tests find it.
"""
