"""Say where the loop stands, and send word to people.

Other rooms import `events`, `delivery`.
"""
