# XEP-0289 7 (fmuc.md 6.6): no peer speaks for our own users, whatever it may vouch for
site wonderland rooms.wonderland.lit
peer tower tower@rooms.verona.lit
user alice alice@wonderland.lit/rabbit
user hatter hatter@wonderland.lit/tea
allow wonderland <- tower vouch=any

alice joins rabbithole@rooms.wonderland.lit as Alice
tower sends
  <presence from='tower@rooms.verona.lit/Juliet' to='rabbithole@rooms.wonderland.lit/Juliet'>
    <fmuc xmlns='http://isode.com/protocol/fmuc' from='juliet@verona.lit/balcony'/>
    <x xmlns='http://jabber.org/protocol/muc'/>
    <x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='none' role='participant' jid='juliet@verona.lit/balcony'/></x></presence>
swallow

tower sends
  <message type='groupchat' from='tower@rooms.verona.lit/Alice' to='rabbithole@rooms.wonderland.lit' id='m1'>
    <fmuc xmlns='http://isode.com/protocol/fmuc' from='alice@wonderland.lit/rabbit'/><body>I am Alice</body></message>
  <message type='groupchat' from='tower@rooms.verona.lit/Juliet' to='rabbithole@rooms.wonderland.lit' id='m2'>
    <fmuc xmlns='http://isode.com/protocol/fmuc' from='alice@wonderland.lit/rabbit'/><body>I am Alice</body></message>
  <presence type='unavailable' from='tower@rooms.verona.lit/Alice' to='rabbithole@rooms.wonderland.lit/Alice'>
    <fmuc xmlns='http://isode.com/protocol/fmuc' from='alice@wonderland.lit/rabbit'/>
    <x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='none' role='none'/></x></presence>
alice receives nothing
tower receives nothing

tower sends
  <presence from='tower@rooms.verona.lit/Hatter' to='rabbithole@rooms.wonderland.lit/Hatter'>
    <fmuc xmlns='http://isode.com/protocol/fmuc' from='hatter@wonderland.lit/tea'/>
    <x xmlns='http://jabber.org/protocol/muc'/><x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='none' role='participant' jid='hatter@wonderland.lit/tea'/></x></presence>
alice receives nothing
tower receives
  <presence type='error' from='rabbithole@rooms.wonderland.lit/Hatter' to='tower@rooms.verona.lit/Hatter'>
    <fmuc xmlns='http://isode.com/protocol/fmuc' from='hatter@wonderland.lit/tea'/><error type='auth'>
    <forbidden xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></presence>

tower sends
  <message type='groupchat' from='tower@rooms.verona.lit/Juliet' to='rabbithole@rooms.wonderland.lit' id='m3'>
    <fmuc xmlns='http://isode.com/protocol/fmuc' from='juliet@verona.lit/balcony'/><body>The link is alive</body></message>
alice receives
  <message type='groupchat' from='rabbithole@rooms.wonderland.lit/Juliet' id='m3'><body>The link is alive</body>
    <stanza-id xmlns='urn:xmpp:sid:0' by='rabbithole@rooms.wonderland.lit' id='{one}'/></message>
