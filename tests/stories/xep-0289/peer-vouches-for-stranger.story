# XEP-0289 7 (fmuc.md 6.6): a peer vouches for its own users only; with vouch=any for others too
site wonderland rooms.wonderland.lit
peer tower tower@rooms.verona.lit
user alice alice@wonderland.lit/rabbit

alice joins rabbithole@rooms.wonderland.lit as Alice
tower sends
  <presence from='tower@rooms.verona.lit/Juliet' to='rabbithole@rooms.wonderland.lit/Juliet'>
    <fmuc xmlns='http://isode.com/protocol/fmuc' from='juliet@verona.lit/balcony'/>
    <x xmlns='http://jabber.org/protocol/muc'/>
    <x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='none' role='participant' jid='juliet@verona.lit/balcony'/></x></presence>
swallow

tower sends
  <presence from='tower@rooms.verona.lit/Iago' to='rabbithole@rooms.wonderland.lit/Iago'>
    <fmuc xmlns='http://isode.com/protocol/fmuc' from='iago@venice.lit/x'/><x xmlns='http://jabber.org/protocol/muc'/>
    <x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='none' role='participant' jid='iago@venice.lit/x'/></x></presence>
alice receives nothing
tower receives
  <presence type='error' from='rabbithole@rooms.wonderland.lit/Iago' to='tower@rooms.verona.lit/Iago'>
    <fmuc xmlns='http://isode.com/protocol/fmuc' from='iago@venice.lit/x'/><error type='auth'>
    <forbidden xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></presence>

tower sends
  <message type='groupchat' from='tower@rooms.verona.lit/Iago' to='rabbithole@rooms.wonderland.lit' id='m1'>
    <fmuc xmlns='http://isode.com/protocol/fmuc' from='iago@venice.lit/x'/><body>I am not what I am</body></message>
alice receives nothing
tower receives nothing
