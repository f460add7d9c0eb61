"""Tasks, auctions, personas, and the coordinator that walks them."""
