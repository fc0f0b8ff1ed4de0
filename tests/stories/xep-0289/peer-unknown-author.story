# XEP-0289 5.2 (fmuc.md 6.4): a message by somebody who was never announced makes him an occupant first: nothing is lost
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
  <message type='groupchat' from='tower@rooms.verona.lit/Romeo' to='rabbithole@rooms.wonderland.lit' id='m1'>
    <fmuc xmlns='http://isode.com/protocol/fmuc' from='romeo@verona.lit/orchard'/><body>But soft</body></message>
alice receives
  <presence from='rabbithole@rooms.wonderland.lit/Romeo'><x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='none' role='participant'/></x></presence>
  <message type='groupchat' from='rabbithole@rooms.wonderland.lit/Romeo' id='m1'><body>But soft</body>
    <stanza-id xmlns='urn:xmpp:sid:0' by='rabbithole@rooms.wonderland.lit' id='{one}'/></message>
tower receives nothing
