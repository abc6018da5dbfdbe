"""Pure: from a customer's interactions, an instant and the rules to findings and a light."""
