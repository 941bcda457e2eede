import { assert, describe, it } from "@effect/vitest"
import { PeerAddress } from "@stellar-overlay/overlay/wire/PeerAddress"
import { Result } from "effect"

/** As core reads configured addresses: IPv4 and names only. */
const parse = (text: string) => PeerAddress.parse(text, { ipv6: false })

const host = (name: string) => PeerAddress.make(name, 11625)

describe("addresses of peers, as core's tests have them", () => {
  it("PDB-005 private addresses", () => {
    const hosts = ["1.2.3.4", "10.1.2.3", "172.17.1.2", "192.168.1.2"]
    assert.deepStrictEqual(hosts.map((name) => host(name).isPrivate), [false, true, true, true])
  })

  // core's constructor takes any text; here no address exists that nobody could dial
  it("PDB-008 a random string is no host, when an address is made as when it is read", () => {
    assert.throws(() => PeerAddress.make("random string", 80), RangeError)
  })

  it("PDB-009 an address is its IP and its port", () => {
    const address = PeerAddress.make("127.0.0.1", 80)
    assert.deepStrictEqual([address.host, address.port], ["127.0.0.1", 80])
  })

  const refused: ReadonlyArray<readonly [title: string, texts: ReadonlyArray<string>]> = [
    ["PDB-010 nothing", [""]],
    ["PDB-011 a random string", ["random string"]],
    ["PDB-012 numbers that are no IPv4 address", ["127.0.0.256", "256.256.256.256"]],
    ["PDB-013 an IPv4 network", ["127.0.0.1/8", "127.0.0.1/16", "127.0.0.1/24"]],
    ["PDB-014 an IPv6 address", ["2001:db8:a0b:12f0::1", "2001:0db8:0a0b:12f0:0000:0000:0000:0001"]],
    ["PDB-015 what is no IPv6 address", ["10000:db8:a0b:12f0::1", "2001:0db8:0a0b:12f0:0000:10000:0000:0001"]],
    ["PDB-016 an IPv6 network", ["2001:db8:a0b:12f0::1/16", "2001:db8:a0b:12f0::1/32", "2001:db8:a0b:12f0::1/64"]],
    ["PDB-017 an IPv4 address with an empty port", ["127.0.0.2:"]],
    ["PDB-018 an IPv4 address with a port out of range", [-1, 0, 65_536, 65_537].map((port) => `127.0.0.2:${port}`)]
  ]
  for (const [title, texts] of refused) {
    it(`${title} is no address`, () => {
      for (const text of texts) assert.isTrue(Result.isFailure(parse(text)), text)
    })
  }

  it("PDB-019 an IPv4 address without a port has the default one", () => {
    for (const text of ["127.0.0.2", "8.8.8.8"]) {
      const address = Result.getOrThrow(parse(text))
      assert.deepStrictEqual([address.host, address.port], [text, 11625])
    }
  })

  it("PDB-020 or the one that is the default where it is read", () => {
    for (const text of ["127.0.0.2", "8.8.8.8"]) {
      const address = Result.getOrThrow(PeerAddress.parse(text, { ipv6: false, defaultPort: 10 }))
      assert.deepStrictEqual([address.host, address.port], [text, 10])
    }
    const named = Result.getOrThrow(PeerAddress.parse("127.0.0.2:11", { ipv6: false, defaultPort: 10 }))
    assert.strictEqual(named.port, 11)
  })

  it("PDB-021 an IPv4 address with a good port has that one", () => {
    for (const port of [1, 1234, 65_534, 65_535]) {
      const address = Result.getOrThrow(parse(`127.0.0.2:${port}`))
      assert.deepStrictEqual([address.host, address.port], ["127.0.0.2", port])
    }
  })
})
