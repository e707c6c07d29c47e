class WitWorld:
    def greet(self, options):
        if not options.name:
            # An error of WIT is raised as its value.
            from componentize_py_types import Err

            raise Err("there is nobody to greet")
        greeting = f"Hello, {options.name}."
        return greeting.upper() if options.loud else greeting
