from service.strict_json import parse  # noqa
