package scalars

import (
	"encoding/binary"
	"math"
)

// The types of a protocol buffer's fields on the wire, by https://protobuf.dev/programming-guides/encoding/.
const (
	varint = 0
	fixed8 = 1
	framed = 2
	fixed4 = 5
)

// field is one field of a protocol buffer. number is of the types varint, fixed8 and fixed4, data of framed.
type field struct {
	id     uint64
	wire   int
	number uint64
	data   []byte
}

// fields calls each for every field of a message, until it returns false. It reports whether all that it
// went through is well-formed. Groups, which none of the messages here has, are not.
func fields(message []byte, each func(field) bool) bool {
	for len(message) > 0 {
		key, n := binary.Uvarint(message)
		if n <= 0 {
			return false
		}
		message = message[n:]
		f := field{id: key >> 3, wire: int(key & 7)}
		switch f.wire {
		case varint:
			f.number, n = binary.Uvarint(message)
		case fixed8:
			if n = 8; len(message) >= n {
				f.number = binary.LittleEndian.Uint64(message)
			}
		case fixed4:
			if n = 4; len(message) >= n {
				f.number = uint64(binary.LittleEndian.Uint32(message))
			}
		case framed:
			var size uint64
			if size, n = binary.Uvarint(message); n <= 0 || size > uint64(len(message)-n) {
				return false
			}
			f.data = message[n : n+int(size)] // #nosec G115 -- no more than the message has
			n += int(size)                    // #nosec G115
		default:
			return false
		}
		if n <= 0 || n > len(message) {
			return false
		}
		message = message[n:]
		if !each(f) {
			return true
		}
	}
	return true
}

// only returns the value of a repeated number, packed or not, if f has exactly one. element is the
// type of one on the wire.
func only(f field, element int) (uint64, bool) {
	if f.wire == element {
		return f.number, true
	}
	switch {
	case f.wire != framed:
		return 0, false
	case element == fixed4 && len(f.data) == 4:
		return uint64(binary.LittleEndian.Uint32(f.data)), true
	case element == fixed8 && len(f.data) == 8:
		return binary.LittleEndian.Uint64(f.data), true
	case element == varint:
		v, n := binary.Uvarint(f.data)
		return v, n > 0 && n == len(f.data)
	}
	return 0, false
}

// number says how a tensor of one type holds its value.
type number struct {
	field   uint64 // of TensorProto, for values by type
	element int    // type of that field's elements on the wire
	size    int    // bytes of a value in tensor_content
	value   func(bits uint64) float64
}

// numberOf returns the number of a DataType of TensorFlow's types.proto. Complex and quantized numbers,
// strings and those of eight bits are none.
func numberOf(dataType uint64) (number, bool) {
	switch dataType {
	case 1: // DT_FLOAT
		return number{5, fixed4, 4, func(v uint64) float64 {
			return float64(math.Float32frombits(uint32(v))) // #nosec G115
		}}, true
	case 2: // DT_DOUBLE
		return number{6, fixed8, 8, math.Float64frombits}, true
	case 3: // DT_INT32
		return number{7, varint, 4, func(v uint64) float64 { return float64(int32(v)) }}, true // #nosec G115
	case 4: // DT_UINT8
		return number{7, varint, 1, func(v uint64) float64 { return float64(uint8(v)) }}, true // #nosec G115
	case 5: // DT_INT16
		return number{7, varint, 2, func(v uint64) float64 { return float64(int16(v)) }}, true // #nosec G115
	case 6: // DT_INT8
		return number{7, varint, 1, func(v uint64) float64 { return float64(int8(v)) }}, true // #nosec G115
	case 9: // DT_INT64
		return number{10, varint, 8, func(v uint64) float64 { return float64(int64(v)) }}, true // #nosec G115
	case 10: // DT_BOOL
		return number{11, varint, 1, func(v uint64) float64 { return float64(min(v, 1)) }}, true
	case 14: // DT_BFLOAT16: the upper half of a float32
		return number{13, varint, 2, func(v uint64) float64 {
			return float64(math.Float32frombits(uint32(uint16(v)) << 16)) // #nosec G115
		}}, true
	case 17: // DT_UINT16
		return number{7, varint, 2, func(v uint64) float64 { return float64(uint16(v)) }}, true // #nosec G115
	case 19: // DT_HALF
		return number{13, varint, 2, func(v uint64) float64 { return half(uint16(v)) }}, true // #nosec G115
	case 22: // DT_UINT32
		return number{16, varint, 4, func(v uint64) float64 { return float64(uint32(v)) }}, true // #nosec G115
	case 23: // DT_UINT64
		return number{17, varint, 8, func(v uint64) float64 { return float64(v) }}, true
	}
	return number{}, false
}

// half returns the value of an IEEE 754 number of 16 bits.
func half(bits uint16) float64 {
	sign, exponent, fraction := 1-2*float64(bits>>15), int(bits>>10&0x1f), float64(bits&0x3ff)
	switch {
	case exponent == 0x1f && fraction != 0:
		return math.NaN()
	case exponent == 0x1f:
		return sign * math.Inf(1)
	case exponent == 0:
		return sign * math.Ldexp(fraction, -24)
	}
	return sign * math.Ldexp(1024+fraction, exponent-25)
}
