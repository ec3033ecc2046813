/**
 * The part of the Wireshark dissector that no table decides: it reads `ARCH`, `DOMID`, `STRUCTS`.
 */
export const luaBody: string = `\
local SEVERITY = { error = expert.severity.ERROR, warning = expert.severity.WARN, note = expert.severity.NOTE }

local function value_of(field, range)
  if field.size == 8 then return range:le_uint64() end
  return UInt64(range:le_uint(), 0)
end

local function field_of(name, field)
  local abbreviation = name .. "." .. field.path
  if field.kind == "padding" or field.kind == "bytes" then return ProtoField.bytes(abbreviation, field.path, base.SPACE) end
  if field.kind == "domid" then return ProtoField.uint16(abbreviation, field.path, base.DEC) end
  local display = field.kind == "handle" and base.HEX or base.DEC
  if field.size == 8 then return ProtoField.uint64(abbreviation, field.path, display) end
  if field.size == 1 then return ProtoField.uint8(abbreviation, field.path, display) end
  if field.size == 2 then return ProtoField.uint16(abbreviation, field.path, display) end
  return ProtoField.uint32(abbreviation, field.path, display)
end

local function declare(struct)
  local proto = Proto(struct.name, struct.name .. " (Xen memory_op, " .. ARCH .. ")")
  local shown, experts = {}, {}
  for i, field in ipairs(struct.fields) do shown[i] = field_of(struct.name, field) end
  proto.fields = shown
  for id, severity in pairs(struct.rules) do
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
      if field.when and not field.when(values) then
        -- Another member of its union is meant
      elseif field.kind == "bytes" then
        tree:add(shown[i], range)
      elseif field.kind == "padding" then
        items[field.path] = tree:add(shown[i], range)
        local text = tostring(range:bytes()):lower():gsub("(%x%x)", "%1 "):gsub(" $", "")
        pads[field.offset] = text
      else
        items[field.path] = tree:add_le(shown[i], range)
        values[field.path] = value_of(field, range)
        local name = field.kind == "domid" and DOMID[values[field.path]:tonumber()]
        if name then items[field.path]:append_text(" (" .. name .. ")") end
      end
    end
    struct.check(values, pads, function(id, path, message)
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
