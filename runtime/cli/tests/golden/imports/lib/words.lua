return { one = "hello" }
