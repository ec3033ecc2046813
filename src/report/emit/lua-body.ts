/** The part of the Wireshark dissector that no table decides: it reads `ARCH`, `HANDLE_HALF`, `MAX_ORDER`, `DOMID`, `RULES`, `STRUCTS`. */
export const luaBody: string = `\
local SEVERITY = { error = expert.severity.ERROR, warning = expert.severity.WARN, note = expert.severity.NOTE }

local function hex(value)
  local digits = type(value) == "number" and string.format("%x", value) or value:tohex():gsub("^0+", "")
  return "0x" .. (digits == "" and "0" or digits)
end

local function domid_name(domid)
  return DOMID[domid] or tostring(domid)
end

-- Words are UInt64: a number of Lua is a double and holds 53 bits.
local function value_of(field, range)
  if field.kind == "number" or field.kind == "domid" then return range:le_uint() end
  if field.size == 8 then return range:le_uint64() end
  return UInt64.new(range:le_uint(), 0)
end

-- Is a << ao == b << bo, exactly?
local function same_total(a, ao, b, bo)
  local zero = UInt64.new(0, 0)
  if a == zero or b == zero then return a == b end
  if ao < bo then a, ao, b, bo = b, bo, a, ao end
  local up = ao - bo
  if up >= 64 then return false end
  return b:rshift(up) == a and b:rshift(up):lshift(up) == b
end

-- Each check calls say(rule id, path of the field, message).
local function check(struct, values, pads, say)
  for _, r in ipairs(struct.reservations) do
    local handle, order = values[r .. "extent_start"], values[r .. "extent_order"]
    if HANDLE_HALF and handle:higher() ~= 0 then
      say("caller-handle-high-zero", r .. "extent_start", "the handle's high half is " .. hex(handle:higher()) .. ", not zero")
    end
    if handle:lower() % struct.word ~= 0 then
      local address = HANDLE_HALF and handle:lower() or handle
      say("caller-list-aligned", r .. "extent_start", "the list at " .. hex(address) .. " is not " .. struct.word .. "-aligned")
    end
    if order > MAX_ORDER then
      say("caller-order", r .. "extent_order", "order " .. order .. " is above " .. MAX_ORDER)
    end
  end
  for _, pad in ipairs(pads) do
    if pad.text:find("[1-9a-f]") then
      say("caller-padding-zero", pad.path, "padding is " .. pad.text .. ", not zero")
    end
  end
  if not struct.exchanges then return end
  local inside, out = values["in.domid"], values["out.domid"]
  if inside ~= out then
    say("caller-domid-match", "out.domid", "in.domid is " .. domid_name(inside) .. ", out.domid is " .. domid_name(out))
  end
  local i, oi, o, oo = values["in.nr_extents"], values["in.extent_order"], values["out.nr_extents"], values["out.extent_order"]
  if not same_total(i, oi, o, oo) then
    say("caller-size-match", "out.nr_extents", "in is " .. tostring(i) .. " << " .. oi .. " pages, out is " .. tostring(o) .. " << " .. oo)
  end
  if values["nr_exchanged"] ~= UInt64.new(0, 0) then
    say("caller-nr-exchanged-zero", "nr_exchanged", "nr_exchanged is " .. hex(values["nr_exchanged"]) .. " on entry")
  end
  local bits = values["out.address_bits"]
  if bits > 255 then
    local node = math.floor(bits / 256) % 256
    local meaning = node == 0 and "flags" or "node " .. (node - 1)
    say("caller-address-bits", "out.address_bits", hex(bits) .. " spills past bit 7: Xen reads " .. meaning .. " there")
  elseif bits >= 1 and bits <= 12 then
    say("caller-address-bits", "out.address_bits", "Xen takes no limit of 2^12 bytes or less")
  end
end

local function field_of(name, field)
  local abbreviation = name .. "." .. field.path
  if field.kind == "padding" then return ProtoField.bytes(abbreviation, field.path, base.SPACE) end
  if field.kind == "domid" then return ProtoField.uint16(abbreviation, field.path, base.DEC) end
  local display = field.kind == "handle" and base.HEX or base.DEC
  if field.size == 8 then return ProtoField.uint64(abbreviation, field.path, display) end
  return ProtoField.uint32(abbreviation, field.path, display)
end

local function declare(struct)
  local proto = Proto(struct.name, struct.name .. " (Xen memory_op, " .. ARCH .. ")")
  local shown, experts = {}, {}
  for i, field in ipairs(struct.fields) do shown[i] = field_of(struct.name, field) end
  proto.fields = shown
  for id, severity in pairs(RULES) do
    experts[id] = ProtoExpert.new(struct.name .. "." .. id, id, expert.group.PROTOCOL, SEVERITY[severity])
  end
  local too_short = ProtoExpert.new(struct.name .. ".size", "size", expert.group.MALFORMED, expert.severity.ERROR)
  local listed = { too_short }
  for _, one in pairs(experts) do listed[#listed + 1] = one end
  proto.experts = listed

  function proto.dissector(buffer, packet, root)
    packet.cols.protocol = struct.name
    packet.cols.info = struct.ops
    local tree = root:add(proto, buffer(), struct.name .. ", " .. buffer:len() .. " bytes, " .. struct.ops)
    if buffer:len() < struct.size then
      tree:add_proto_expert_info(too_short, buffer:len() .. " bytes, not the " .. struct.size .. " of the struct")
      return buffer:len()
    end
    local values, pads, items = {}, {}, {}
    for i, field in ipairs(struct.fields) do
      local range = buffer(field.offset, field.size)
      if field.kind == "padding" then
        items[field.path] = tree:add(shown[i], range)
        local text = tostring(range:bytes()):lower():gsub("(%x%x)", "%1 "):gsub(" $", "")
        pads[#pads + 1] = { path = field.path, text = text }
      else
        items[field.path] = tree:add_le(shown[i], range)
        values[field.path] = value_of(field, range)
        local name = field.kind == "domid" and DOMID[values[field.path]]
        if name then items[field.path]:append_text(" (" .. name .. ")") end
      end
    end
    check(struct, values, pads, function(id, path, message)
      items[path]:add_proto_expert_info(experts[id], id .. ": " .. message)
    end)
    return struct.size
  end
  return proto
end

local by_size = {}
for _, struct in ipairs(STRUCTS) do
  struct.proto = declare(struct)
  by_size[struct.size] = by_size[struct.size] or {}
  table.insert(by_size[struct.size], struct)
end

local xenmem = Proto("xenmem", "Xen memory_op structs (" .. ARCH .. ")")
local no_struct = ProtoExpert.new("xenmem.size", "no struct has this size", expert.group.MALFORMED, expert.severity.ERROR)
xenmem.experts = { no_struct }
for size, candidates in pairs(by_size) do
  if #candidates > 1 then
    local choices, chosen = {}, 1
    for i, struct in ipairs(candidates) do
      choices[i] = { i, struct.name, i }
      if struct.preferred then chosen = i end
    end
    xenmem.prefs["bytes_" .. size] = Pref.enum(size .. " bytes are", chosen, "Which struct a packet of " .. size .. " bytes holds", choices, false)
  end
end

function xenmem.dissector(buffer, packet, root)
  local candidates = by_size[buffer:len()]
  if not candidates then
    root:add(xenmem, buffer()):add_proto_expert_info(no_struct, buffer:len() .. " bytes: no struct has this size on " .. ARCH)
    return buffer:len()
  end
  local struct = candidates[#candidates > 1 and xenmem.prefs["bytes_" .. buffer:len()] or 1]
  return struct.proto.dissector:call(buffer, packet, root)
end

DissectorTable.get("wtap_encap"):add(wtap.USER0, xenmem)
`;
