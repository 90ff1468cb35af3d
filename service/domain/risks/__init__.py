"""The risk register: risks that people keep, and the findings that support them."""
