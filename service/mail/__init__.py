"""Mail: texts from templates, kept in the database until a server has taken them."""
