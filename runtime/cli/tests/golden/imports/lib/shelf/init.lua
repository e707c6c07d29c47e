return { name = "the shelf" }
