-- Digests, encodings and random values.
local need, host = ...

local errors, check, names = need("errors"), need("check"), need("names")
local digests, random = host.digests, host.random.bytes
local tostring, tonumber = tostring, tonumber
local concat = table.concat

local crypto = {}

local function hexadecimal(bytes)
    return bytes and (bytes:gsub(".", function(byte)
        return ("%02x"):format(byte:byte())
    end))
end

local LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
local SPECIAL = "!@#$%^&*()_+-=[]{}|;:,.<>?"
local LONGEST = 65536

--- crypto.hash(algorithm, data) gives the digest of bytes in hexadecimal digits: "sha256", "sha512", "sha1", "md5".
--- The last two are for old checksums only.
function crypto.hash(algorithm, data)
    local name = check.text(algorithm, "crypto.hash"):lower():gsub("[-_]", "")
    local digest = hexadecimal(digests.digest(name, check.bytes(data, "crypto.hash")))
    if not digest then
        errors.invalid(("crypto.hash: `%s` is not one of sha256, sha512, sha1, md5"):format(name))
    end
    return digest
end

local function hasher(name)
    return function(data)
        return hexadecimal(digests.digest(name, check.bytes(data, "crypto." .. name)))
    end
end

--- crypto.sha256(data) gives 64 hexadecimal digits.
crypto.sha256 = hasher("sha256")
--- crypto.sha512(data) gives 128 hexadecimal digits.
crypto.sha512 = hasher("sha512")
--- crypto.sha1(data) gives 40 hexadecimal digits. Not for anything that must be safe.
crypto.sha1 = hasher("sha1")
--- crypto.md5(data) gives 32 hexadecimal digits. Not for anything that must be safe.
crypto.md5 = hasher("md5")

local function authenticator(name)
    return function(key, data)
        local what = "crypto.hmac_" .. name
        return hexadecimal(digests.hmac(name, check.bytes(key, what .. ": the key"), check.bytes(data, what)))
    end
end

--- crypto.hmac_sha256(key, data) gives the message's authentication code in hexadecimal digits.
crypto.hmac_sha256 = authenticator("sha256")
--- crypto.hmac(key, data) is crypto.hmac_sha256.
crypto.hmac = crypto.hmac_sha256
--- crypto.hmac_sha512(key, data) gives the message's authentication code in hexadecimal digits.
crypto.hmac_sha512 = authenticator("sha512")

local function encoder(name, for_addresses)
    return function(data)
        return digests.encode(check.bytes(data, "crypto." .. name), for_addresses)
    end
end

local function decoder(name, for_addresses)
    return function(text)
        local bytes = digests.decode((check.bytes(text, "crypto." .. name):gsub("%s", "")), for_addresses)
        if not bytes then
            return nil, ("crypto.%s: the text is not base64"):format(name)
        end
        return bytes
    end
end

--- crypto.base64_encode(data) gives base64 with padding.
crypto.base64_encode = encoder("base64_encode", false)
--- crypto.base64(data) is crypto.base64_encode.
crypto.base64 = crypto.base64_encode
--- crypto.base64_decode(text) gives the bytes, or nil and a message. Space and line ends are passed over.
crypto.base64_decode = decoder("base64_decode", false)
--- crypto.base64url_encode(data) gives base64 for addresses and names of files, without padding.
crypto.base64url_encode = encoder("base64url_encode", true)
--- crypto.base64url_decode(text) gives the bytes, or nil and a message.
crypto.base64url_decode = decoder("base64url_decode", true)

--- crypto.hex_encode(data) gives two small hexadecimal digits a byte.
function crypto.hex_encode(data)
    return hexadecimal(check.bytes(data, "crypto.hex_encode"))
end

--- crypto.hex_decode(text) gives the bytes, or nil and a message.
function crypto.hex_decode(text)
    text = check.bytes(text, "crypto.hex_decode")
    if #text % 2 == 1 or text:find("%X") then
        return nil, "crypto.hex_decode: the text is not pairs of hexadecimal digits"
    end
    return (text:gsub("%x%x", function(digits)
        return string.char(tonumber(digits, 16))
    end))
end

local function length_of(value, what)
    if math.type(value) ~= "integer" or value < 0 or value > LONGEST then
        errors.invalid(("%s: the length must be a whole number from 0 to %d, not %s"):format(what, LONGEST, tostring(value)))
    end
    return value
end

--- crypto.random_bytes(length[, encoding="base64"]) gives so many random bytes, encoded as "base64", "hex" or "raw".
function crypto.random_bytes(length, encoding)
    local bytes = random(length_of(length, "crypto.random_bytes"))
    if encoding == "raw" then
        return bytes
    elseif encoding ~= nil and encoding ~= "base64" and encoding ~= "hex" then
        errors.invalid('crypto.random_bytes: the encoding must be one of "base64", "hex", "raw"')
    end
    return encoding == "hex" and hexadecimal(bytes) or digests.encode(bytes, false)
end

-- Each of the letters is as likely as any other.
local function pick(length, letters)
    local fair = 256 - 256 % #letters
    local parts = {}
    while #parts < length do
        local bytes = random(length - #parts + 16)
        for index = 1, #bytes do
            local byte = bytes:byte(index)
            if byte < fair and #parts < length then
                local at = byte % #letters + 1
                parts[#parts + 1] = letters:sub(at, at)
            end
        end
    end
    return concat(parts)
end

--- crypto.random(length[, encoding="base64"]) is crypto.random_bytes.
crypto.random = crypto.random_bytes

--- crypto.random_string(length[, letters]) gives random letters and digits, or of the ASCII letters given.
function crypto.random_string(length, letters)
    letters = letters == nil and LETTERS or check.bytes(letters, "crypto.random_string: the letters")
    if letters == "" or #letters > 256 then
        errors.invalid("crypto.random_string: the letters must be 1 to 256")
    end
    return pick(length_of(length, "crypto.random_string"), letters)
end

--- crypto.generate_password([length=20[, special=true]]) gives a random password of letters, digits and, unless
--- told otherwise, special characters.
function crypto.generate_password(length, special)
    length = length_of(length == nil and 20 or length, "crypto.generate_password")
    return pick(length, special == false and LETTERS or LETTERS .. SPECIAL)
end

--- crypto.uuid() gives a random identifier (version 4).
function crypto.uuid()
    local bytes = { random(16):byte(1, 16) }
    bytes[7] = bytes[7] & 0x0f | 0x40
    bytes[9] = bytes[9] & 0x3f | 0x80
    local form = ("%02x"):rep(4) .. ("-" .. ("%02x"):rep(2)):rep(3) .. "-" .. ("%02x"):rep(6)
    return form:format(table.unpack(bytes))
end
--- crypto.uuid_v4() is crypto.uuid.
crypto.uuid_v4 = crypto.uuid

return names.close(crypto, "crypto", errors.invalid)
