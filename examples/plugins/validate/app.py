"""JSON Schema, by fastjsonschema."""

import json

import fastjsonschema
from componentize_py_types import Err
from wit_world import Mistake_Document, Mistake_Schema, Problem


class WitWorld:
    def check(self, document, schema):
        try:
            parsed = json.loads(document)
        except ValueError as error:
            raise Err(Mistake_Document(str(error)))
        try:
            validate = fastjsonschema.compile(json.loads(schema))
        except (ValueError, fastjsonschema.JsonSchemaDefinitionException) as error:
            raise Err(Mistake_Schema(str(error)))
        try:
            validate(parsed)
        except fastjsonschema.JsonSchemaValueException as error:
            return Problem(".".join(str(part) for part in error.path), error.message)
        return None
